//! A terminal's screen as SVG: a rectangle for each coloured stretch of a row, and a text for each stretch of one style.

use std::fmt::Write as _;
use vt100::{Cell, Color, Screen};

/// A cell's size and the text in it, in pixels. The width is that of most monospaced fonts at this size.
const CELL_WIDTH: f64 = 8.43;
const CELL_HEIGHT: f64 = 18.0;
const FONT_SIZE: f64 = 14.0;
/// From the top of a row down to the line on which its letters stand.
const BASELINE: f64 = 13.5;
/// Around the screen.
const MARGIN: f64 = 10.0;
const FONTS: &str = "ui-monospace, 'DejaVu Sans Mono', Menlo, Consolas, 'Noto Sans Mono CJK SC', monospace";

/// The terminal's background.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ground {
    Dark,
    Light,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Rgb(u8, u8, u8);

/// How a stretch of cells looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Style {
    text: Rgb,
    /// `None` is the ground.
    behind: Option<Rgb>,
    bold: bool,
    dim: bool,
    italic: bool,
    underline: bool,
}

/// Cells of one row that look the same.
#[derive(Debug, PartialEq)]
struct Stretch {
    column: u16,
    columns: u16,
    text: String,
    style: Style,
}

/// Draws the screen, with an outline where the cursor stands.
#[must_use]
pub fn draw(screen: &Screen, ground: Ground) -> String {
    let (rows, columns) = screen.size();
    let (rows, columns) = (rows.get(), columns.get());
    let (width, height) = (x(columns) + MARGIN, y(rows) + MARGIN);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width:.1} {height:.1}\" width=\"{width:.0}\" \
         height=\"{height:.0}\" font-family=\"{FONTS}\" font-size=\"{FONT_SIZE}\">\n\
         <title>chat-client on a terminal of {columns} columns and {rows} rows</title>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"6\" fill=\"{}\"/>\n",
        ground.colour()
    );
    for row in 0..rows {
        for stretch in stretches(screen, row, columns, ground) {
            draw_stretch(&mut svg, row, &stretch);
        }
    }
    if !screen.hide_cursor() {
        let (row, column) = screen.cursor_position();
        let _ = writeln!(
            svg,
            "<rect x=\"{:.2}\" y=\"{:.1}\" width=\"{CELL_WIDTH}\" height=\"{CELL_HEIGHT}\" fill=\"none\" stroke=\"{}\"/>",
            x(column),
            y(row),
            ground.text()
        );
    }
    svg.push_str("</svg>\n");
    svg
}

/// The row without its blank end. A wide character is a stretch of its own, so that its neighbours stay in their
/// columns whatever its font makes of it.
fn stretches(screen: &Screen, row: u16, columns: u16, ground: Ground) -> Vec<Stretch> {
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut joinable = false;
    for column in 0..columns {
        let Some(cell) = screen.cell(row, column) else {
            continue;
        };
        if cell.is_wide_continuation() {
            continue;
        }
        let style = Style::of(cell, ground);
        let text = if cell.has_contents() { cell.contents() } else { " " };
        match stretches.last_mut() {
            Some(last) if joinable && !cell.is_wide() && last.style == style => {
                last.columns += 1;
                last.text.push_str(text);
            }
            _ => stretches.push(Stretch {
                column,
                columns: if cell.is_wide() { 2 } else { 1 },
                text: text.to_owned(),
                style,
            }),
        }
        joinable = !cell.is_wide();
    }
    stretches.retain(|stretch| stretch.style.behind.is_some() || !stretch.text.trim().is_empty());
    stretches
}

fn draw_stretch(svg: &mut String, row: u16, stretch: &Stretch) {
    let (left, top, style) = (x(stretch.column), y(row), stretch.style);
    let width = f64::from(stretch.columns) * CELL_WIDTH;
    if let Some(behind) = style.behind {
        let _ = writeln!(
            svg,
            "<rect x=\"{left:.2}\" y=\"{top:.1}\" width=\"{width:.2}\" height=\"{CELL_HEIGHT}\" fill=\"{behind}\"/>"
        );
    }
    let text = stretch.text.trim_end();
    if text.is_empty() {
        return;
    }
    let cells = stretch.columns - u16::try_from(stretch.text.len() - text.len()).unwrap_or_default();
    let _ = write!(
        svg,
        "<text xml:space=\"preserve\" x=\"{left:.2}\" y=\"{:.1}\" textLength=\"{:.2}\" fill=\"{}\"",
        top + BASELINE,
        f64::from(cells) * CELL_WIDTH,
        style.text
    );
    for (is_set, attribute) in [
        (style.bold, " font-weight=\"bold\""),
        (style.dim, " opacity=\"0.6\""),
        (style.italic, " font-style=\"italic\""),
        (style.underline, " text-decoration=\"underline\""),
    ] {
        if is_set {
            svg.push_str(attribute);
        }
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, ">{text}</text>");
}

fn x(column: u16) -> f64 {
    MARGIN + f64::from(column) * CELL_WIDTH
}

fn y(row: u16) -> f64 {
    MARGIN + f64::from(row) * CELL_HEIGHT
}

impl Ground {
    /// What a terminal with this background answers when it is asked for it (OSC 11).
    #[must_use]
    pub fn answer(self) -> String {
        let Rgb(red, green, blue) = self.colour();
        format!("\x1b]11;rgb:{red:02x}{red:02x}/{green:02x}{green:02x}/{blue:02x}{blue:02x}\x1b\\")
    }

    fn colour(self) -> Rgb {
        match self {
            Self::Dark => Rgb(24, 25, 26),
            Self::Light => Rgb(250, 250, 248),
        }
    }

    fn text(self) -> Rgb {
        match self {
            Self::Dark => Rgb(208, 208, 208),
            Self::Light => Rgb(40, 40, 40),
        }
    }
}

impl Style {
    fn of(cell: &Cell, ground: Ground) -> Self {
        let (front, back) = (colour(cell.fgcolor()), colour(cell.bgcolor()));
        let (text, behind) = if cell.inverse() {
            (
                back.unwrap_or(ground.colour()),
                Some(front.unwrap_or(ground.text())),
            )
        } else {
            (front.unwrap_or(ground.text()), back)
        };
        Self {
            text,
            behind,
            bold: cell.bold(),
            dim: cell.dim(),
            italic: cell.italic(),
            underline: cell.underline(),
        }
    }
}

/// xterm's colours; `None` is the terminal's own.
fn colour(colour: Color) -> Option<Rgb> {
    const BASIC: [Rgb; 16] = [
        Rgb(0, 0, 0),
        Rgb(205, 49, 49),
        Rgb(13, 148, 80),
        Rgb(190, 150, 20),
        Rgb(60, 120, 216),
        Rgb(178, 90, 190),
        Rgb(17, 150, 170),
        Rgb(200, 200, 200),
        Rgb(118, 118, 118),
        Rgb(241, 76, 76),
        Rgb(35, 209, 139),
        Rgb(245, 245, 67),
        Rgb(59, 142, 234),
        Rgb(214, 112, 214),
        Rgb(41, 184, 219),
        Rgb(240, 240, 240),
    ];
    let index = match colour {
        Color::Default => return None,
        Color::Rgb(red, green, blue) => return Some(Rgb(red, green, blue)),
        Color::Idx(index) => index,
    };
    Some(match index {
        // A cube of six levels for each of red, green and blue.
        16..=231 => {
            let level = |step: u8| if step == 0 { 0 } else { 55 + 40 * step };
            let place = index - 16;
            Rgb(level(place / 36), level(place / 6 % 6), level(place % 6))
        }
        232.. => {
            let grey = 8 + 10 * (index - 232);
            Rgb(grey, grey, grey)
        }
        _ => *BASIC.get(usize::from(index))?,
    })
}

impl std::fmt::Display for Rgb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::num::NonZeroU16;

    fn screen(columns: u16, written: &str) -> vt100::Parser {
        let cells = |number| NonZeroU16::new(number).unwrap();
        let mut parser = vt100::Parser::new(cells(1), cells(columns), 0);
        parser.process(written.as_bytes());
        parser
    }

    fn texts(columns: u16, written: &str) -> Vec<(u16, u16, String)> {
        let parser = screen(columns, written);
        let stretches = stretches(parser.screen(), 0, columns, Ground::Dark);
        stretches
            .into_iter()
            .map(|s| (s.column, s.columns, s.text))
            .collect()
    }

    #[test]
    fn a_stretch_ends_where_the_style_changes() {
        let expected = [
            (0, 3, "ab ".to_owned()),
            (3, 1, "c".to_owned()),
            (4, 2, "d ".to_owned()),
        ];
        assert_eq!(texts(6, "ab \x1b[1mc\x1b[0md"), expected);
    }

    #[test]
    fn a_wide_character_stands_alone_in_two_columns() {
        let expected = [
            (0, 1, "a".to_owned()),
            (1, 2, "大".to_owned()),
            (3, 2, "b ".to_owned()),
        ];
        assert_eq!(texts(5, "a大b"), expected);
    }

    #[test]
    fn reverse_swaps_the_text_and_the_ground() {
        let parser = screen(3, "\x1b[7mx\x1b[0m");
        let drawn = draw(parser.screen(), Ground::Dark);
        assert!(drawn.contains("fill=\"#d0d0d0\"/>\n<text"), "{drawn}");
        assert!(drawn.contains("fill=\"#18191a\">x<"), "{drawn}");
    }

    #[test]
    fn markup_in_a_text_is_escaped() {
        let parser = screen(9, "<a> & b");
        assert!(draw(parser.screen(), Ground::Light).contains(">&lt;a> &amp; b</text>"));
    }

    #[test]
    fn colours_are_those_of_xterm() {
        assert_eq!(colour(Color::Idx(16)), Some(Rgb(0, 0, 0)));
        assert_eq!(colour(Color::Idx(231)), Some(Rgb(255, 255, 255)));
        assert_eq!(colour(Color::Idx(244)), Some(Rgb(128, 128, 128)));
        assert_eq!(colour(Color::Default), None);
    }
}
