//! How things look: few colours, which work on a dark ground as on a light one, and none where none are wanted.

use super::style::Role;
use crate::settings::Colours;
use crossterm::style::{Attribute, Attributes, Color, ContentStyle};
use std::ffi::OsStr;

/// How many colours there are to draw with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Theme {
    /// None: what matters is bold, underlined or reversed.
    Plain,
    /// The sixteen that every terminal has, and users choose to suit their ground.
    Sixteen,
    /// The palette of xterm.
    Many,
}

/// Those of the sixteen that can be read on white and on black in the usual palettes.
const FEW: [Color; 4] = [
    Color::DarkRed,
    Color::DarkGreen,
    Color::DarkMagenta,
    Color::DarkCyan,
];

/// Of the palette: colours of middle brightness, told apart by hue. On white as on black each has a contrast of at
/// least 3:1 (WCAG 2.1, 1.4.11); a test computes it.
const MANY: [u8; 16] = [
    26, 28, 30, 32, 62, 64, 97, 99, 127, 130, 132, 134, 136, 160, 162, 168,
];

impl Theme {
    /// The theme that the user set, else the one that these environment variables ask for. By
    /// <https://no-color.org>, what the user set for this program goes before `NO_COLOR`.
    pub(super) fn choose(
        colours: Colours,
        no_color: Option<&OsStr>,
        term: Option<&OsStr>,
        colorterm: Option<&OsStr>,
    ) -> Self {
        match colours {
            Colours::Auto => Self::by_environment(no_color, term, colorterm),
            Colours::None => Self::Plain,
            Colours::Sixteen => Self::Sixteen,
            Colours::Palette => Self::Many,
        }
    }

    fn by_environment(no_color: Option<&OsStr>, term: Option<&OsStr>, colorterm: Option<&OsStr>) -> Self {
        if no_color.is_some_and(|value| !value.is_empty()) {
            return Self::Plain;
        }
        let term = term.map(OsStr::to_string_lossy).unwrap_or_default();
        let many = colorterm.is_some_and(|value| !value.is_empty()) || term.contains("256color");
        if term.starts_with("vt") {
            Self::Plain
        } else if many {
            Self::Many
        } else {
            Self::Sixteen
        }
    }

    /// How a role looks. The ground is never set: it is the user's.
    pub(super) fn style(self, role: Role) -> ContentStyle {
        let (colour, attributes): (Option<Color>, &[Attribute]) = match role {
            Role::Text | Role::Note => (None, &[]),
            Role::Mention => (None, &[Attribute::Bold]),
            Role::Faint => (None, &[Attribute::Dim]),
            Role::User(number) => (Some(self.of_user(number)), &[]),
            Role::Own => (None, &[Attribute::Bold]),
            Role::Private => (Some(Color::DarkMagenta), &[]),
            Role::Error => (Some(Color::DarkRed), &[Attribute::Bold]),
            Role::Match => (None, &[Attribute::Reverse]),
            Role::Status => (None, &[Attribute::Reverse]),
            Role::Alert => (None, &[Attribute::Reverse, Attribute::Bold]),
            Role::Prompt => (None, &[Attribute::Bold]),
        };
        ContentStyle {
            foreground_color: colour.filter(|_| self != Self::Plain),
            background_color: None,
            underline_color: None,
            attributes: attributes
                .iter()
                .fold(Attributes::default(), |all, &attribute| all.with(attribute)),
        }
    }

    fn of_user(self, number: u8) -> Color {
        let number = usize::from(number);
        if self == Self::Many {
            let palette = MANY.get(number % MANY.len());
            palette.map_or(Color::Reset, |&colour| Color::AnsiValue(colour))
        } else {
            FEW.get(number % FEW.len()).copied().unwrap_or(Color::Reset)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The brightness of a colour of xterm's cube, as WCAG defines it.
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
    fn names_can_be_read_on_white_and_on_black() {
        for colour in MANY {
            let luminance = luminance(colour);
            let (on_white, on_black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05);
            assert!(
                on_white >= 3.0 && on_black >= 3.0,
                "{colour}: {on_white:.2} {on_black:.2}"
            );
        }
    }

    #[test]
    fn the_environment_decides() {
        let choose = |no_color: &str, term: &str, colorterm: &str| {
            Theme::choose(
                Colours::Auto,
                Some(OsStr::new(no_color)),
                Some(OsStr::new(term)),
                Some(OsStr::new(colorterm)),
            )
        };
        assert_eq!(choose("1", "xterm-256color", "truecolor"), Theme::Plain);
        assert_eq!(choose("", "xterm-256color", ""), Theme::Many);
        assert_eq!(choose("", "linux", ""), Theme::Sixteen);
        assert_eq!(choose("", "vt100", ""), Theme::Plain);
        assert_eq!(choose("", "foot", "truecolor"), Theme::Many);
    }

    #[test]
    fn what_the_user_set_goes_before_the_environment() {
        let set = |colours| {
            let [no_color, term] = ["1", "vt100"].map(OsStr::new);
            Theme::choose(colours, Some(no_color), Some(term), None)
        };
        assert_eq!(set(Colours::Sixteen), Theme::Sixteen);
        assert_eq!(set(Colours::Palette), Theme::Many);
        let many = OsStr::new("xterm-256color");
        assert_eq!(
            Theme::choose(Colours::None, None, Some(many), Some(many)),
            Theme::Plain
        );
    }

    #[test]
    fn without_colours_there_are_none() {
        for role in [Role::User(3), Role::Private, Role::Error, Role::Alert, Role::Text] {
            assert_eq!(Theme::Plain.style(role).foreground_color, None);
        }
    }

    #[test]
    fn an_id_keeps_its_colour_and_ids_differ() {
        let colour = |port: u16| Role::user(format!("10.0.0.5:{port}").parse().unwrap());
        assert_eq!(colour(50312), colour(50312));
        let different = (50000..50032)
            .map(colour)
            .filter(|&other| other != colour(50312))
            .count();
        assert!(different > 24);
    }
}
