//! Colours and attributes of the roles. Few colours, readable on dark and on light backgrounds.

use super::style::Role;
use crate::settings::Colours;
use crossterm::style::{Attribute, Attributes, Color, ContentStyle};
use std::ffi::OsStr;

/// The colours to draw with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    /// No colours: bold and reverse video only.
    None,
    /// The sixteen of every terminal, which users adapt to their background.
    Sixteen,
    /// The 256 of xterm.
    Palette,
}

/// The colours of the sixteen that are readable on white and on black with the usual palettes.
const SIXTEEN: [Color; 4] = [
    Color::DarkRed,
    Color::DarkGreen,
    Color::DarkMagenta,
    Color::DarkCyan,
];

/// Colours of the palette with medium brightness and different hues. A test computes that each has a contrast of at least
/// 3:1 (WCAG 2.1, 1.4.11) on white and on black.
const PALETTE: [u8; 16] = [
    26, 28, 30, 32, 62, 64, 97, 99, 127, 130, 132, 134, 136, 160, 162, 168,
];

impl Theme {
    /// The theme of the setting, or with `auto` of these environment variables. The setting overrides `NO_COLOR`, as
    /// <https://no-color.org> says.
    pub(super) fn choose(
        colours: Colours,
        no_color: Option<&OsStr>,
        term: Option<&OsStr>,
        colorterm: Option<&OsStr>,
    ) -> Self {
        match colours {
            Colours::Auto => Self::by_environment(no_color, term, colorterm),
            Colours::None => Self::None,
            Colours::Sixteen => Self::Sixteen,
            Colours::Palette => Self::Palette,
        }
    }

    fn by_environment(no_color: Option<&OsStr>, term: Option<&OsStr>, colorterm: Option<&OsStr>) -> Self {
        if no_color.is_some_and(|value| !value.is_empty()) {
            return Self::None;
        }
        let term = term.map(OsStr::to_string_lossy).unwrap_or_default();
        let many = colorterm.is_some_and(|value| !value.is_empty()) || term.contains("256color");
        if term.starts_with("vt") {
            Self::None
        } else if many {
            Self::Palette
        } else {
            Self::Sixteen
        }
    }

    /// The style of a role. The background stays the user's.
    pub(super) fn style(self, role: Role) -> ContentStyle {
        let (colour, attributes): (Option<Color>, &[Attribute]) = match role {
            Role::Text | Role::Note => (None, &[]),
            Role::Mention => (None, &[Attribute::Bold]),
            Role::Faint => (None, &[Attribute::Dim]),
            Role::Link => (None, &[Attribute::Underlined]),
            Role::User(number) => (Some(self.of_user(number)), &[]),
            Role::Mentioner(number) => (Some(self.of_user(number)), &[Attribute::Reverse]),
            Role::Mark => (None, &[Attribute::Bold]),
            Role::Own => (None, &[Attribute::Bold]),
            Role::Private => (Some(Color::DarkMagenta), &[]),
            Role::Error => (Some(Color::DarkRed), &[Attribute::Bold]),
            Role::Match => (None, &[Attribute::Reverse]),
            Role::Status | Role::StatusFaint | Role::StatusPrivate => (None, &[Attribute::Reverse]),
            Role::StatusOwn | Role::StatusMark | Role::Alert => {
                (None, &[Attribute::Reverse, Attribute::Bold])
            }
            Role::Prompt => (None, &[Attribute::Bold]),
        };
        ContentStyle {
            foreground_color: colour.filter(|_| self != Self::None),
            background_color: None,
            underline_color: None,
            attributes: attributes
                .iter()
                .fold(Attributes::default(), |all, &attribute| all.with(attribute)),
        }
    }

    fn of_user(self, number: u8) -> Color {
        let number = usize::from(number);
        if self == Self::Palette {
            let palette = PALETTE.get(number % PALETTE.len());
            palette.map_or(Color::Reset, |&colour| Color::AnsiValue(colour))
        } else {
            SIXTEEN
                .get(number % SIXTEEN.len())
                .copied()
                .unwrap_or(Color::Reset)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The luminance of a colour of xterm's cube, as WCAG defines it.
    fn luminance(colour: u8) -> f64 {
        let place = colour - 16;
        let channels = [place / 36, place / 6 % 6, place % 6].map(|level| {
            let value = if level == 0 {
                0.0
            } else {
                f64::from(55 + 40 * level) / 255.0
            };
            if value <= 0.03928 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055_f64).powf(2.4)
            }
        });
        0.2126 * channels[0] + 0.7152 * channels[1] + 0.0722 * channels[2]
    }

    #[test]
    fn names_are_readable_on_white_and_on_black() {
        for colour in PALETTE {
            let luminance = luminance(colour);
            let (on_white, on_black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05);
            assert!(
                on_white >= 3.0 && on_black >= 3.0,
                "{colour}: {on_white:.2} {on_black:.2}"
            );
        }
    }

    #[test]
    fn auto_follows_the_environment() {
        let choose = |no_color: &str, term: &str, colorterm: &str| {
            Theme::choose(
                Colours::Auto,
                Some(OsStr::new(no_color)),
                Some(OsStr::new(term)),
                Some(OsStr::new(colorterm)),
            )
        };
        assert_eq!(choose("1", "xterm-256color", "truecolor"), Theme::None);
        assert_eq!(choose("", "xterm-256color", ""), Theme::Palette);
        assert_eq!(choose("", "linux", ""), Theme::Sixteen);
        assert_eq!(choose("", "vt100", ""), Theme::None);
        assert_eq!(choose("", "foot", "truecolor"), Theme::Palette);
    }

    #[test]
    fn the_setting_overrides_the_environment() {
        let set = |colours| {
            let [no_color, term] = ["1", "vt100"].map(OsStr::new);
            Theme::choose(colours, Some(no_color), Some(term), None)
        };
        assert_eq!(set(Colours::Sixteen), Theme::Sixteen);
        assert_eq!(set(Colours::Palette), Theme::Palette);
        let many = OsStr::new("xterm-256color");
        assert_eq!(
            Theme::choose(Colours::None, None, Some(many), Some(many)),
            Theme::None
        );
    }

    #[test]
    fn the_theme_without_colours_sets_none() {
        for role in [Role::User(3), Role::Private, Role::Error, Role::Alert, Role::Text] {
            assert_eq!(Theme::None.style(role).foreground_color, None);
        }
    }

    #[test]
    fn a_nick_keeps_its_colour_and_most_users_differ() {
        let colour = |who: &str| Role::user(&who.parse().unwrap());
        assert_eq!(colour("bob@10.0.0.5:50312"), colour("Bob@10.0.0.6:50313"));
        let nameless = |port: u16| colour(&format!("10.0.0.5:{port}"));
        assert_eq!(nameless(50312), nameless(50312));
        let different = |count: usize| count > 24;
        assert!(different(
            (50000..50032)
                .filter(|&port| nameless(port) != nameless(50312))
                .count()
        ));
        let bob = colour("bob@10.0.0.5:50312");
        let named = (0..32).map(|number| colour(&format!("user{number}@10.0.0.5:50312")));
        assert!(different(named.filter(|&other| other != bob).count()));
    }
}
