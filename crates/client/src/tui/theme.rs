//! Colours and attributes of the roles. Few colours, readable on the background of the terminal.

use super::colour::{READABLE, Rgb};
use super::style::Role;
use crate::settings::Colours;
use crossterm::style::{Attribute, Attributes, Color, ContentStyle};
use std::ffi::OsStr;

/// The colours to draw with.
#[derive(Clone, Copy, Debug)]
pub(super) struct Theme {
    depth: Depth,
    /// Colours for the background, if that is known and there are enough colours.
    shades: Option<Shades>,
}

/// How many colours there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// No colours: bold and reverse video only.
    None,
    /// The sixteen of every terminal, which users adapt to their background.
    Sixteen,
    /// The 256 of xterm.
    Palette,
    /// All of sRGB.
    True,
}

/// The colours for one background.
#[derive(Clone, Copy, Debug)]
struct Shades {
    users: [Color; 7],
    faint: Color,
    private: Color,
    error: Color,
    mark: Color,
    new: Color,
    link: Color,
    /// The status line.
    status: StatusShades,
}

#[derive(Clone, Copy, Debug)]
struct StatusShades {
    ground: Color,
    text: Color,
    faint: Color,
    private: Color,
    mark: Color,
    alert: Color,
}

/// Colours before they are adapted to a background, as numbers of the palette.
struct Base {
    users: [u8; 7],
    faint: u8,
    private: u8,
    error: u8,
    mark: u8,
    alert: u8,
    link: u8,
    text: u8,
}

/// Seven colours for names that people with any red-green deficiency tell apart too: a search over the cube for the greatest
/// least distance. A test computes distances and contrasts.
const ON_DARK: Base = Base {
    users: [37, 70, 115, 141, 183, 184, 209],
    faint: 245,
    private: 176,
    error: 203,
    mark: 221,
    alert: 215,
    link: 73,
    text: 252,
};
const ON_LIGHT: Base = Base {
    users: [19, 23, 26, 53, 88, 94, 126],
    faint: 242,
    private: 90,
    error: 124,
    mark: 94,
    alert: 130,
    link: 24,
    text: 235,
};

/// The colours of the sixteen that are readable on white and on black with the usual palettes.
const SIXTEEN: [Color; 4] = [
    Color::DarkRed,
    Color::DarkGreen,
    Color::DarkMagenta,
    Color::DarkCyan,
];

/// Colours of the palette for an unknown background, with medium brightness and different hues. A test computes that each
/// has a contrast of at least 3:1 (WCAG 2.1, 1.4.11) on white and on black.
const MEDIUM: [u8; 16] = [
    26, 28, 30, 32, 62, 64, 97, 99, 127, 130, 132, 134, 136, 160, 162, 168,
];

impl Depth {
    /// The depth of the setting, or with `auto` of these environment variables. The setting overrides `NO_COLOR`, as
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
        let colorterm = colorterm.map(OsStr::to_string_lossy).unwrap_or_default();
        if term.starts_with("vt") {
            Self::None
        } else if matches!(&*colorterm, "truecolor" | "24bit") {
            Self::True
        } else if !colorterm.is_empty() || term.contains("256color") {
            Self::Palette
        } else {
            Self::Sixteen
        }
    }
}

impl Theme {
    /// The theme for an unknown background.
    pub(super) fn new(depth: Depth) -> Self {
        Self { depth, shades: None }
    }

    /// The theme for this background.
    pub(super) fn on(self, ground: Rgb) -> Self {
        let has_shades = matches!(self.depth, Depth::Palette | Depth::True);
        Self {
            shades: has_shades.then(|| Shades::new(ground, self.depth)),
            ..self
        }
    }

    pub(super) fn style(self, role: Role) -> ContentStyle {
        let (colour, attributes) = self.look(role);
        let is_status = matches!(
            role,
            Role::Status
                | Role::StatusOwn
                | Role::StatusFaint
                | Role::StatusMark
                | Role::StatusPrivate
                | Role::Alert
        );
        let mut style = ContentStyle {
            foreground_color: colour.filter(|_| self.depth != Depth::None),
            background_color: None,
            underline_color: None,
            attributes: attributes
                .iter()
                .fold(Attributes::default(), |all, &attribute| all.with(attribute)),
        };
        match self.shades {
            Some(shades) if is_status => style.background_color = Some(shades.status.ground),
            None if is_status => style.attributes.set(Attribute::Reverse),
            _ => {}
        }
        style
    }

    fn look(self, role: Role) -> (Option<Color>, &'static [Attribute]) {
        use Attribute::{Bold, Dim, Reverse, Underlined};
        let shade = |shade: fn(&Shades) -> Color| self.shades.as_ref().map(shade);
        let or = |colour: Option<Color>, other| colour.or(Some(other));
        match role {
            Role::Text | Role::Note => (None, &[]),
            Role::Mention | Role::Own | Role::Prompt => (None, &[Bold]),
            Role::Link => (shade(|shades| shades.link), &[Underlined]),
            Role::Faint if self.shades.is_none() => (None, &[Dim]),
            Role::Faint => (shade(|shades| shades.faint), &[]),
            Role::User(number) => (Some(self.of_user(number)), &[]),
            Role::Mentioner(number) => (Some(self.of_user(number)), &[Reverse]),
            Role::Mark => (shade(|shades| shades.mark), &[Bold]),
            Role::New => (shade(|shades| shades.new), &[]),
            Role::Private => (or(shade(|shades| shades.private), Color::DarkMagenta), &[]),
            Role::Error if self.shades.is_none() => (Some(Color::DarkRed), &[Bold]),
            Role::Error => (shade(|shades| shades.error), &[]),
            Role::Match => (None, &[Reverse]),
            Role::Status => (shade(|shades| shades.status.text), &[]),
            Role::StatusOwn => (shade(|shades| shades.status.text), &[Bold]),
            Role::StatusFaint => (shade(|shades| shades.status.faint), &[]),
            Role::StatusMark => (shade(|shades| shades.status.mark), &[Bold]),
            Role::StatusPrivate => (shade(|shades| shades.status.private), &[]),
            Role::Alert if self.shades.is_none() => (None, &[Bold]),
            Role::Alert => (shade(|shades| shades.status.alert), &[]),
        }
    }

    fn of_user(self, number: u8) -> Color {
        let number = usize::from(number);
        let one_of = |colours: &[Color]| colours.get(number % colours.len().max(1)).copied();
        let colour = match (&self.shades, self.depth) {
            (Some(shades), _) => one_of(&shades.users),
            (None, Depth::Palette | Depth::True) => one_of(&MEDIUM.map(Color::AnsiValue)),
            (None, Depth::None | Depth::Sixteen) => one_of(&SIXTEEN),
        };
        colour.unwrap_or(Color::Reset)
    }
}

impl Shades {
    fn new(ground: Rgb, depth: Depth) -> Self {
        let base = if ground.is_dark() { ON_DARK } else { ON_LIGHT };
        let on = |ground: Rgb, number| {
            let colour = Rgb::of_palette(number).readable_on(ground);
            drawn(colour, ground, READABLE, depth)
        };
        let line = match depth {
            Depth::True => ground.quieter(),
            _ => Rgb::of_palette(ground.quieter().to_palette(ground, 1.0)),
        };
        Self {
            users: base.users.map(|number| on(ground, number)),
            faint: on(ground, base.faint),
            private: on(ground, base.private),
            error: on(ground, base.error),
            mark: on(ground, base.mark),
            new: on(ground, base.alert),
            link: on(ground, base.link),
            status: StatusShades {
                ground: drawn(line, ground, 1.0, depth),
                text: on(line, base.text),
                faint: on(line, base.faint),
                private: on(line, base.private),
                mark: on(line, base.mark),
                alert: on(line, base.alert),
            },
        }
    }
}

/// A colour as the terminal gets it; of the palette the most similar one with this contrast to the background.
fn drawn(Rgb(r, g, b): Rgb, ground: Rgb, contrast: f64, depth: Depth) -> Color {
    match depth {
        Depth::True => Color::Rgb { r, g, b },
        _ => Color::AnsiValue(Rgb(r, g, b).to_palette(ground, contrast)),
    }
}

#[cfg(test)]
mod tests {
    use super::super::colour::tests::least_distance;
    use super::*;

    /// Backgrounds that are usual: black, VS Code's, Solarized, Nord, One Dark; white, Solarized, GNOME's, a grey.
    const GROUNDS: [Rgb; 10] = [
        Rgb(0, 0, 0),
        Rgb(24, 25, 26),
        Rgb(30, 30, 30),
        Rgb(0, 43, 54),
        Rgb(46, 52, 64),
        Rgb(40, 44, 52),
        Rgb(255, 255, 255),
        Rgb(253, 246, 227),
        Rgb(250, 250, 248),
        Rgb(238, 238, 238),
    ];

    fn rgb(colour: Color) -> Rgb {
        match colour {
            Color::Rgb { r, g, b } => Rgb(r, g, b),
            Color::AnsiValue(number) => Rgb::of_palette(number),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_role_is_readable_on_the_background() {
        let roles = [
            Role::Faint,
            Role::Private,
            Role::Error,
            Role::Mark,
            Role::New,
            Role::Link,
            Role::Status,
            Role::StatusOwn,
            Role::StatusFaint,
            Role::StatusMark,
            Role::StatusPrivate,
            Role::Alert,
        ];
        for (ground, depth) in GROUNDS
            .iter()
            .flat_map(|&ground| [(ground, Depth::Palette), (ground, Depth::True)])
        {
            let theme = Theme::new(depth).on(ground);
            for role in (0..7).map(Role::User).chain(roles) {
                let style = theme.style(role);
                let behind = style.background_color.map_or(ground, rgb);
                let contrast = rgb(style.foreground_color.unwrap()).contrast(behind);
                assert!(
                    contrast >= 4.5,
                    "{role:?} on {ground:?}, {depth:?}: {contrast:.2}"
                );
            }
        }
    }

    #[test]
    fn names_are_told_apart_without_seeing_red_and_green() {
        for (ground, depth) in GROUNDS
            .iter()
            .flat_map(|&ground| [(ground, Depth::Palette), (ground, Depth::True)])
        {
            let theme = Theme::new(depth).on(ground);
            let colours: Vec<Rgb> = (0..7).map(|number| rgb(theme.of_user(number))).collect();
            for (place, &one) in colours.iter().enumerate() {
                for &other in &colours[..place] {
                    let distance = least_distance(one, other);
                    assert!(
                        distance >= 0.06,
                        "{one:?} {other:?} on {ground:?}, {depth:?}: {distance:.3}"
                    );
                }
            }
        }
    }

    #[test]
    fn the_status_line_is_quiet_on_a_known_background_and_reversed_on_another() {
        for ground in GROUNDS {
            let style = Theme::new(Depth::Palette).on(ground).style(Role::Status);
            let contrast = rgb(style.background_color.unwrap()).contrast(ground);
            assert!((1.05..2.0).contains(&contrast), "{ground:?}: {contrast:.2}");
            assert!(!style.attributes.has(Attribute::Reverse));
        }
        for theme in [
            Theme::new(Depth::Palette),
            Theme::new(Depth::Sixteen).on(GROUNDS[0]),
            Theme::new(Depth::None).on(GROUNDS[0]),
        ] {
            for role in [Role::Status, Role::Alert] {
                let style = theme.style(role);
                assert!(style.attributes.has(Attribute::Reverse) && style.background_color.is_none());
            }
        }
    }

    #[test]
    fn names_are_visible_on_white_and_on_black() {
        for number in MEDIUM {
            let colour = Rgb::of_palette(number);
            let contrasts = [Rgb(0, 0, 0), Rgb(255, 255, 255)].map(|ground| colour.contrast(ground));
            assert!(
                contrasts.iter().all(|&contrast| contrast >= 3.0),
                "{number}: {contrasts:?}"
            );
        }
    }

    #[test]
    fn auto_follows_the_environment() {
        let choose = |no_color: &str, term: &str, colorterm: &str| {
            Depth::choose(
                Colours::Auto,
                Some(OsStr::new(no_color)),
                Some(OsStr::new(term)),
                Some(OsStr::new(colorterm)),
            )
        };
        assert_eq!(choose("1", "xterm-256color", "truecolor"), Depth::None);
        assert_eq!(choose("", "xterm-256color", ""), Depth::Palette);
        assert_eq!(choose("", "linux", ""), Depth::Sixteen);
        assert_eq!(choose("", "vt100", ""), Depth::None);
        assert_eq!(choose("", "foot", "truecolor"), Depth::True);
        assert_eq!(choose("", "foot", "yes"), Depth::Palette);
    }

    #[test]
    fn the_setting_overrides_the_environment() {
        let set = |colours| {
            let [no_color, term] = ["1", "vt100"].map(OsStr::new);
            Depth::choose(colours, Some(no_color), Some(term), None)
        };
        assert_eq!(set(Colours::Sixteen), Depth::Sixteen);
        assert_eq!(set(Colours::Palette), Depth::Palette);
        let many = OsStr::new("xterm-256color");
        assert_eq!(
            Depth::choose(Colours::None, None, Some(many), Some(many)),
            Depth::None
        );
    }

    #[test]
    fn the_theme_without_colours_sets_none() {
        for role in [Role::User(3), Role::Private, Role::Error, Role::Alert, Role::Text] {
            let style = Theme::new(Depth::None).on(GROUNDS[0]).style(role);
            assert_eq!((style.foreground_color, style.background_color), (None, None));
        }
    }

    #[test]
    fn a_nick_keeps_its_colour_and_most_users_differ() {
        let theme = Theme::new(Depth::Palette).on(GROUNDS[0]);
        let colour = |who: &str| match Role::user(&who.parse().unwrap()) {
            Role::User(number) => theme.of_user(number),
            other => panic!("{other:?}"),
        };
        assert_eq!(colour("bob@10.0.0.5:50312"), colour("Bob@10.0.0.6:50313"));
        let nameless = |port: u16| colour(&format!("10.0.0.5:{port}"));
        assert_eq!(nameless(50312), nameless(50312));
        let bob = colour("bob@10.0.0.5:50312");
        let named = (0..70).map(|number| colour(&format!("user{number}@10.0.0.5:50312")));
        assert!(named.filter(|&other| other != bob).count() > 50);
    }
}
