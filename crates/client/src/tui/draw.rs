//! Turns frames into the bytes for the terminal.

use super::colour::Rgb;
use super::style::{Frame, Role, Row};
use super::theme::Theme;
use super::url;
use crate::direction::{self, is_reordered};
use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::queue;
use crossterm::style::{Attribute, Color, Print, SetAttribute, SetStyle};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use std::io::{self, Write};
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Draws frames, only the rows that changed.
#[derive(Debug)]
pub(super) struct Painter {
    theme: Theme,
    /// Links are written.
    links: bool,
    /// The frame on the terminal, if known.
    drawn: Option<Frame>,
}

impl Painter {
    pub(super) fn new(theme: Theme, links: bool) -> Self {
        Self {
            theme,
            links,
            drawn: None,
        }
    }

    /// Adapts the colours to the background of the terminal, and draws everything next time.
    pub(super) fn adapt(&mut self, background: Rgb) {
        self.theme = self.theme.on(background);
        self.forget();
    }

    /// Draws everything next time: something else wrote to the terminal.
    pub(super) fn forget(&mut self) {
        self.drawn = None;
    }

    /// Appends the bytes that turn the last frame into this one.
    pub(super) fn paint(&mut self, frame: Frame, out: &mut Vec<u8>) {
        if self.drawn.as_ref() == Some(&frame) {
            return;
        }
        // Writing to memory does not fail.
        let _ = self.write(&frame, out);
        self.drawn = Some(frame);
    }

    fn write(&self, frame: &Frame, out: &mut Vec<u8>) -> io::Result<()> {
        queue!(out, BeginSynchronizedUpdate, Hide)?;
        let before = self
            .drawn
            .as_ref()
            .filter(|drawn| drawn.rows.len() == frame.rows.len());
        if before.is_none() {
            // The frame before may have been cut anywhere.
            if self.links {
                queue!(out, Print(url::CLOSING))?;
            }
            queue!(out, SetAttribute(Attribute::Reset), Clear(ClearType::All))?;
        }
        for (number, row) in frame.rows.iter().enumerate() {
            let old = before.and_then(|before| before.rows.get(number));
            if old.map_or(!row.0.is_empty(), |old| old != row) {
                self.write_row(number, row, out)?;
            }
        }
        if let Some((column, row)) = frame.cursor {
            queue!(out, MoveTo(cell(column), cell(row)), Show)?;
        }
        queue!(out, EndSynchronizedUpdate)
    }

    /// Clears the row before writing it: afterwards, clearing would erase the last column too.
    fn write_row(&self, number: usize, row: &Row, out: &mut Vec<u8>) -> io::Result<()> {
        queue!(out, MoveTo(0, cell(number)), Clear(ClearType::UntilNewLine))?;
        let is_marked = row.0.iter().any(|span| is_reordered(span.as_str()));
        let mut column = 0;
        let mut is_unsure = false;
        for span in &row.0 {
            if is_marked && (column > 0 || is_reordered(span.as_str())) {
                queue!(out, Print(direction::MARK))?;
                // Some terminals give the mark a column, so what follows is placed by its column. At the beginning of a
                // row, that would overwrite the mark: there it is done after the first character.
                is_unsure = column > 0;
            }
            let link = span.url.as_ref().filter(|_| self.links);
            if let Some(link) = link {
                queue!(out, Print(link.opening()))?;
            }
            self.set_style(span.role, out)?;
            for cluster in span.as_str().graphemes(true) {
                if is_unsure {
                    queue!(out, MoveTo(cell(column), cell(number)))?;
                }
                queue!(out, Print(cluster))?;
                is_unsure = has_disputed_width(cluster) || is_marked && column == 0;
                column += cluster.width();
            }
            queue!(out, SetAttribute(Attribute::Reset))?;
            if link.is_some() {
                queue!(out, Print(url::CLOSING))?;
            }
        }
        Ok(())
    }

    /// crossterm writes the sixteen colours in the form of the 256, which terminals with only sixteen do not know.
    fn set_style(&self, role: Role, out: &mut Vec<u8>) -> io::Result<()> {
        let mut style = self.theme.style(role);
        if let Some(code) = style.foreground_color.and_then(code_of_sixteen) {
            style.foreground_color = None;
            write!(out, "\x1b[{code}m")?;
        }
        queue!(out, SetStyle(style))
    }
}

/// Whether terminals disagree about the width of a cluster. They agree about one letter of Europe or East Asia. The width
/// of others depends on the terminal's version of Unicode: of symbols, emoji and unassigned characters, and of clusters with
/// selectors, joiners, modifiers or marks. What follows is then placed by its column, so that a disagreement costs one
/// character and not the rest.
fn has_disputed_width(cluster: &str) -> bool {
    let mut characters = cluster.chars();
    let is_agreed = |character| match character {
        ' '..='~' => true,
        '\0'..='\u{52f}' | 'ぁ'..='ヿ' | '\u{4e00}'..='\u{9fff}' | '가'..='힣' => {
            char::is_alphabetic(character)
        }
        _ => false,
    };
    !characters.next().is_some_and(is_agreed) || characters.next().is_some()
}

/// The code that sets one of the sixteen colours as the foreground: 30 to 37, or 90 to 97 for the bright ones.
fn code_of_sixteen(colour: Color) -> Option<u8> {
    use Color::*;
    let dark = [
        Black,
        DarkRed,
        DarkGreen,
        DarkYellow,
        DarkBlue,
        DarkMagenta,
        DarkCyan,
        Grey,
    ];
    let bright = [DarkGrey, Red, Green, Yellow, Blue, Magenta, Cyan, White];
    let codes = (30..).zip(dark).chain((90..).zip(bright));
    codes
        .into_iter()
        .find(|(_, sixteen)| *sixteen == colour)
        .map(|(code, _)| code)
}

fn cell(number: usize) -> u16 {
    u16::try_from(number).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::style::{Span, clip_row};
    use super::super::theme::Depth;
    use super::*;
    use std::rc::Rc;

    fn painted(painter: &mut Painter, rows: &[&str]) -> String {
        let rows = rows.iter().map(|row| Row::of(Role::Text, *row)).collect();
        let mut out = Vec::new();
        painter.paint(
            Frame {
                rows,
                cursor: Some((0, 0)),
            },
            &mut out,
        );
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn only_changed_rows_are_drawn() {
        let mut painter = Painter::new(Theme::new(Depth::None), false);
        let all = painted(&mut painter, &["one", "two"]);
        assert!(all.contains("\x1b[2J") && all.contains("one") && all.contains("two"));
        assert_eq!(painted(&mut painter, &["one", "two"]), "");
        let changed = painted(&mut painter, &["one", "three"]);
        assert!(
            !changed.contains("one") && changed.contains("\x1b[2;1H\x1b[Kthree"),
            "{changed:?}"
        );
        painter.forget();
        assert!(painted(&mut painter, &["one", "three"]).contains("one"));
        assert!(painted(&mut painter, &["one"]).contains("\x1b[2J"));
    }

    #[test]
    fn sixteen_colours_are_written_as_every_terminal_knows_them() {
        let row = Row((0..=255)
            .map(|number| Span::new(Role::User(number), "x"))
            .collect());
        let painted = |depth| {
            let mut out = Vec::new();
            let rows = vec![
                row.clone(),
                Row::of(Role::Private, "x"),
                Row::of(Role::Error, "x"),
            ];
            Painter::new(Theme::new(depth), false).paint(Frame { rows, cursor: None }, &mut out);
            String::from_utf8(out).unwrap()
        };
        let sixteen = painted(Depth::Sixteen);
        assert!(!sixteen.contains("38;5;"), "{sixteen:?}");
        for colour in ["\x1b[31m", "\x1b[32m", "\x1b[35m", "\x1b[36m"] {
            assert!(sixteen.contains(colour), "{colour:?}");
        }
        assert!(painted(Depth::Palette).contains("\x1b[38;5;26m"));
        assert_eq!(code_of_sixteen(Color::White), Some(97));
        assert_eq!(code_of_sixteen(Color::AnsiValue(26)), None);
    }

    #[test]
    fn a_link_begins_and_ends_with_its_span() {
        let mut row = Row(["at ", "http://a.example/é", ", ok"]
            .map(|text| Span::new(Role::Text, text))
            .into());
        row.0[1].url = url::Url::new(5, 1, row.0[1].as_str()).map(Rc::new);
        let draw = |links, columns| {
            let mut out = Vec::new();
            let rows = vec![clip_row(row.clone(), columns)];
            Painter::new(Theme::new(Depth::None), links).paint(Frame { rows, cursor: None }, &mut out);
            String::from_utf8(out).unwrap()
        };
        let drawn = draw(true, 80);
        let link = "at \x1b[0m\x1b]8;id=5-1;http://a.example/%C3%A9\x1b\\http://a.example/é\x1b[0m\x1b]8;;\x1b\\, ok";
        assert!(drawn.contains(link), "{drawn:?}");
        // A frame that was cut may have begun a link.
        assert!(drawn.find(url::CLOSING) < drawn.find("\x1b[2J"), "{drawn:?}");
        let clipped = "\x1b]8;id=5-1;http://a.example/%C3%A9\x1b\\http://~\x1b[0m\x1b]8;;\x1b\\";
        assert!(draw(true, 11).contains(clipped), "{:?}", draw(true, 11));
        assert!(!draw(false, 80).contains("\x1b]"));
    }

    #[test]
    fn what_follows_a_cluster_of_disputed_width_is_placed_by_its_column() {
        for (cluster, width) in [
            ("👍🏽", 2),
            ("❤\u{fe0f}", 2),
            ("🏳\u{fe0f}\u{200d}🌈", 2),
            ("1\u{fe0f}\u{20e3}", 2),
            ("🇩🇪", 2),
            ("🇩", 1),
            ("🏽", 2),
            ("👨\u{200d}👩\u{200d}👧", 2),
            ("e\u{301}", 1),
            ("☰", 2),
            ("㉈", 1),
            ("\u{378}", 1),
            ("\u{2fffd}", 2),
        ] {
            assert_eq!(cluster.width(), width, "{cluster:?}");
            let drawn = painted(
                &mut Painter::new(Theme::new(Depth::None), false),
                &[&format!("{cluster}x{cluster} END")],
            );
            let [second, rest] = [width + 1, 2 * width + 2].map(|column| format!("\x1b[1;{column}H"));
            let expected = format!("{cluster}{second}x{cluster}{rest} END");
            assert!(drawn.contains(&expected), "{drawn:?}");
        }
        assert!(
            painted(
                &mut Painter::new(Theme::new(Depth::None), false),
                &["你好 éяあ END"]
            )
            .contains("你好 éяあ END")
        );
    }
}
