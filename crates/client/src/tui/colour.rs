//! Colours, and how readable they are on each other.

/// The contrast that text needs with its background (WCAG 2.1, 1.4.3).
pub(super) const READABLE: f64 = 4.5;

/// A colour of sRGB.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rgb(pub(super) u8, pub(super) u8, pub(super) u8);

const BLACK: Rgb = Rgb(0, 0, 0);
const WHITE: Rgb = Rgb(255, 255, 255);

impl Rgb {
    /// A colour as terminals write it: `rgb:1818/1919/1a1a`, with one to four digits each.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix("rgb:").or(text.strip_prefix("rgba:"))?;
        let mut channels = digits.split('/').map(|digits| {
            let max = match digits.len() {
                length @ 1..=4 => (1 << (4 * length)) - 1,
                _ => return None,
            };
            let value = u32::from_str_radix(digits, 16).ok()?;
            u8::try_from(value * 255 / max).ok()
        });
        let mut next = || channels.next().flatten();
        Some(Self(next()?, next()?, next()?))
    }

    /// The colour of the palette of xterm with this number, from 16: a cube of six levels each, and greys.
    pub(super) fn of_palette(number: u8) -> Self {
        if let Some(grey) = number.checked_sub(232) {
            let level = 8 + 10 * grey;
            return Self(level, level, level);
        }
        let place = number.saturating_sub(16);
        let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
        Self(level(place / 36), level(place / 6 % 6), level(place % 6))
    }

    /// The number of the most similar colour of the palette with this contrast to the background.
    pub(super) fn to_palette(self, ground: Self, contrast: f64) -> u8 {
        let distance = |&number: &u8| {
            let Self(red, green, blue) = Self::of_palette(number);
            let squares = [(red, self.0), (green, self.1), (blue, self.2)];
            squares
                .map(|(one, other)| u32::from(one.abs_diff(other)).pow(2))
                .iter()
                .sum::<u32>()
        };
        let enough = |&number: &u8| Self::of_palette(number).contrast(ground) >= contrast;
        (16..=255).filter(enough).min_by_key(distance).unwrap_or(16)
    }

    /// The contrast of two colours, from 1 to 21, as WCAG defines it.
    pub(super) fn contrast(self, other: Self) -> f64 {
        let [one, other] = [self.luminance(), other.luminance()];
        (one.max(other) + 0.05) / (one.min(other) + 0.05)
    }

    /// Whether white is more readable on it than black.
    pub(super) fn is_dark(self) -> bool {
        self.contrast(WHITE) > self.contrast(BLACK)
    }

    /// The colour, as much lighter on a dark background or darker on a light one as it must be to be readable.
    pub(super) fn readable_on(self, ground: Self) -> Self {
        let far = if ground.is_dark() { WHITE } else { BLACK };
        let mut mixed = (0..=20).map(|step| self.mixed(far, step, 20));
        mixed
            .find(|colour| colour.contrast(ground) >= READABLE)
            .unwrap_or(far)
    }

    /// The colour with so many parts of another.
    pub(super) fn mixed(self, other: Self, parts: u32, of: u32) -> Self {
        let mix = |one: u8, other: u8| {
            let mixed = (u32::from(one) * (of - parts) + u32::from(other) * parts) / of;
            u8::try_from(mixed).unwrap_or(u8::MAX)
        };
        Self(mix(self.0, other.0), mix(self.1, other.1), mix(self.2, other.2))
    }

    /// A quiet background for a row on this one.
    pub(super) fn quieter(self) -> Self {
        if self.is_dark() {
            self.mixed(WHITE, 2, 20)
        } else {
            self.mixed(BLACK, 2, 20)
        }
    }

    fn luminance(self) -> f64 {
        let [red, green, blue] = self.linear();
        0.2126 * red + 0.7152 * green + 0.0722 * blue
    }

    /// The amounts of light, from 0 to 1.
    fn linear(self) -> [f64; 3] {
        [self.0, self.1, self.2].map(|channel| {
            let value = f64::from(channel) / 255.0;
            if value <= 0.04045 {
                value / 12.92
            } else {
                ((value + 0.055) / 1.055_f64).powf(2.4)
            }
        })
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// How people see who lack the cones for red or for green (protanopia, deuteranopia), for linear RGB: Machado, Oliveira
    /// and Fernandes, "A Physiologically-based Model for Simulation of Color Vision Deficiency", IEEE TVCG 15 (6), 2009, the
    /// matrices of severity 1.0.
    const PROTANOPIA: [[f64; 3]; 3] = [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ];
    const DEUTERANOPIA: [[f64; 3]; 3] = [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ];
    const FULL_SIGHT: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

    fn times(matrix: [[f64; 3]; 3], vector: [f64; 3]) -> [f64; 3] {
        matrix.map(|row| row.iter().zip(vector).map(|(one, other)| one * other).sum())
    }

    /// A colour in Oklab (Ottosson 2020), where distances are as people see them: 0.02 is just noticeable.
    fn oklab(linear: [f64; 3]) -> [f64; 3] {
        let cones = times(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ],
            linear,
        );
        times(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ],
            cones.map(f64::cbrt),
        )
    }

    /// The distance of two colours for those who tell them apart the least.
    pub(in super::super) fn least_distance(one: Rgb, other: Rgb) -> f64 {
        let distances = [FULL_SIGHT, PROTANOPIA, DEUTERANOPIA].map(|sight| {
            let [one, other] = [one, other].map(|colour| {
                let seen = times(sight, colour.linear());
                oklab(seen.map(|light| light.clamp(0.0, 1.0)))
            });
            let squares = one.iter().zip(other).map(|(one, other)| (one - other).powi(2));
            squares.sum::<f64>().sqrt()
        });
        distances.into_iter().fold(f64::INFINITY, f64::min)
    }

    #[test]
    fn red_and_green_are_alike_to_some_and_blue_and_yellow_are_not() {
        let [red, green] = [Rgb(205, 90, 60), Rgb(125, 130, 60)];
        assert!(
            least_distance(red, green) < 0.06,
            "{}",
            least_distance(red, green)
        );
        assert!(least_distance(Rgb(0, 0, 255), Rgb(255, 255, 0)) > 0.3);
    }

    #[test]
    fn an_answer_of_a_terminal_is_a_colour() {
        for (text, colour) in [
            ("rgb:1818/1919/1a1a", Some(Rgb(24, 25, 26))),
            ("rgb:ff/ff/f", Some(Rgb(255, 255, 255))),
            ("rgba:0000/8080/ffff/ffff", Some(Rgb(0, 128, 255))),
            ("rgb:1818/1919", None),
            ("rgb:18181/1/1", None),
            ("rgb:x/1/1", None),
            ("#181919", None),
            ("", None),
        ] {
            assert_eq!(Rgb::parse(text), colour, "{text}");
        }
    }

    #[test]
    fn contrast_is_that_of_wcag() {
        assert!((BLACK.contrast(WHITE) - 21.0).abs() < 0.01);
        // The example of many guides: the lightest grey that is readable on white.
        assert!(
            Rgb(118, 118, 118).contrast(WHITE) >= READABLE && Rgb(119, 119, 119).contrast(WHITE) < READABLE
        );
    }

    #[test]
    fn every_colour_becomes_readable_on_every_background() {
        for ground in (0..=255)
            .step_by(15)
            .flat_map(|level| [Rgb(level, level, level), Rgb(level, 0, 255 - level)])
        {
            for number in 16..=255 {
                let colour = Rgb::of_palette(number).readable_on(ground);
                assert!(colour.contrast(ground) >= READABLE, "{number} on {ground:?}");
                let near = Rgb::of_palette(colour.to_palette(ground, READABLE));
                assert!(near.contrast(ground) >= READABLE, "{number} on {ground:?}");
            }
        }
    }
}
