//! The rooms of the LAN, to choose one. Pure: rooms and keys come in, rows and the choice go out.

use super::decoder::Input;
use super::key::{Code, Key};
use super::screen::Size;
use super::style::{Frame, Role, Row, Span, clip, clip_row};
use super::wrap::wrap;
use crate::rooms::found::{Found, KeyState};
use chat_discovery::browser::ROOMS_MAX;
use unicode_width::UnicodeWidthStr;

/// The narrowest screen with the addresses beside the names, in columns.
const ADDRESSES_FROM: usize = 60;
/// The least columns of a name.
const NAME_MIN: usize = 8;
/// The blanks before the second and later rows of a line.
const INDENT: usize = 2;

/// What to do after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    Join(Box<Found>),
    Leave,
    /// Ctrl-C.
    Interrupt,
    Suspend,
    Redraw,
}

/// The list.
#[derive(Debug)]
pub(super) struct RoomList {
    pub(super) size: Size,
    /// Some rooms may be missing.
    pub(super) is_full: bool,
    /// In the order of their numbers.
    lines: Vec<Line>,
    last_number: usize,
    /// The number of the line that Enter joins.
    selected: Option<usize>,
    /// The first line in view.
    top: usize,
    /// The digits so far of a number that has more, perhaps.
    typed: String,
    /// What the last key did not do, and why.
    note: Option<String>,
    /// Every room has had the time to answer.
    has_waited: bool,
}

/// A room. It keeps its number and its place, also when it is gone: a key that is pressed just then must not join another one.
#[derive(Debug)]
struct Line {
    number: usize,
    found: Found,
    is_gone: bool,
}

impl RoomList {
    pub(super) fn new(size: Size) -> Self {
        Self {
            size,
            is_full: false,
            lines: Vec::new(),
            last_number: 0,
            selected: None,
            top: 0,
            typed: String::new(),
            note: None,
            has_waited: false,
        }
    }

    /// Takes the rooms that answer now.
    pub(super) fn update(&mut self, rooms: Vec<Found>) {
        for line in &mut self.lines {
            line.is_gone = true;
        }
        for found in rooms {
            let known = self
                .lines
                .iter_mut()
                .find(|line| line.found.room.is_same(&found.room));
            if let Some(line) = known {
                line.found = found;
                line.is_gone = false;
                continue;
            }
            self.last_number += 1;
            self.lines.push(Line {
                number: self.last_number,
                found,
                is_gone: false,
            });
        }
        self.selected = self.selected.or(self.lines.first().map(|line| line.number));
        let selected = self.selected;
        while self.lines.len() > ROOMS_MAX
            && let Some(place) = self
                .lines
                .iter()
                .position(|line| line.is_gone && Some(line.number) != selected)
        {
            self.lines.remove(place);
        }
    }

    /// Every room has had the time to answer.
    pub(super) fn waited(&mut self) {
        self.has_waited = true;
    }

    /// What is typed.
    pub(super) fn handle(&mut self, inputs: Vec<Input>) -> Option<Choice> {
        inputs.into_iter().find_map(|input| match input {
            Input::Key(key) => self.press(key),
            // Nobody pastes a choice.
            Input::Paste(_) => None,
        })
    }

    fn press(&mut self, key: Key) -> Option<Choice> {
        self.note = None;
        let page = isize::try_from(self.height()).unwrap_or(isize::MAX);
        let typed = std::mem::take(&mut self.typed);
        match (key.code, key.ctrl) {
            (Code::Char('c'), true) => return Some(Choice::Interrupt),
            (Code::Char('d'), true) | (Code::Esc, _) | (Code::Char('q'), false) => {
                return Some(Choice::Leave);
            }
            (Code::Char('z'), true) => return Some(Choice::Suspend),
            (Code::Char('l'), true) => return Some(Choice::Redraw),
            (Code::Char(digit @ '0'..='9'), false) => return self.type_digit(typed, digit),
            (Code::Enter, _) => {
                let number = typed.parse().ok().or(self.selected);
                return number.and_then(|number| self.join(number));
            }
            (Code::Backspace, _) => {
                let mut typed = typed;
                typed.pop();
                self.typed = typed;
            }
            (Code::Up | Code::WheelUp, _) => self.select_by(-1),
            (Code::Down | Code::WheelDown, _) => self.select_by(1),
            (Code::PgUp, _) => self.select_by(-page),
            (Code::PgDn, _) => self.select_by(page),
            (Code::Home, _) => self.select_by(isize::MIN),
            (Code::End, _) => self.select_by(isize::MAX),
            _ => {}
        }
        None
    }

    /// Joins the room of this number at once, unless a longer one begins alike.
    fn type_digit(&mut self, typed: String, digit: char) -> Option<Choice> {
        let typed = format!("{typed}{digit}");
        let numbers = self.lines.iter().map(|line| line.number.to_string());
        let (exact, longer): (Vec<_>, Vec<_>) = numbers
            .filter(|number| number.starts_with(&typed))
            .partition(|number| *number == typed);
        if !longer.is_empty() {
            if !exact.is_empty() {
                self.selected = typed.parse().ok();
            }
            self.typed = typed;
            return None;
        }
        self.join(typed.parse().unwrap_or_default())
    }

    fn join(&mut self, number: usize) -> Option<Choice> {
        let Some(line) = self.lines.iter().find(|line| line.number == number) else {
            self.note = Some(format!("there is no room {number}"));
            return None;
        };
        self.selected = Some(number);
        if line.is_gone {
            self.note = Some(format!("{} is gone", line.found.room.name));
            return None;
        }
        Some(Choice::Join(Box::new(line.found.clone())))
    }

    fn select_by(&mut self, by: isize) {
        let place = self.selected_place().unwrap_or_default();
        let last = self.lines.len().saturating_sub(1);
        let place = place.saturating_add_signed(by).min(last);
        self.selected = self.lines.get(place).map(|line| line.number);
    }

    fn selected_place(&self) -> Option<usize> {
        self.lines
            .iter()
            .position(|line| Some(line.number) == self.selected)
    }
}

// Drawing.
impl RoomList {
    /// The rows for the rooms: all but the status line and the prompt.
    fn height(&self) -> usize {
        self.size.rows.saturating_sub(2).max(1)
    }

    pub(super) fn frame(&mut self) -> Frame {
        let (columns, height) = (self.size.columns, self.height());
        let mut rows = if self.lines.is_empty() {
            self.nothing_found(columns)
        } else {
            self.scroll();
            let in_view = self.lines.iter().skip(self.top).take(height);
            let widths = Widths::new(&self.lines, columns);
            in_view
                .map(|line| clip_row(widths.row(line, Some(line.number) == self.selected), columns))
                .collect()
        };
        rows.resize(height, Row::default());
        rows.push(self.status(columns));
        let prompt = clip(&self.prompt(), columns.saturating_sub(1));
        let cursor = (prompt.width(), rows.len());
        rows.push(Row::of(Role::Prompt, prompt));
        // On a screen of one row, the rooms matter most.
        rows.truncate(self.size.rows);
        Frame {
            cursor: (cursor.1 < rows.len() && columns > 0).then_some(cursor),
            rows,
        }
    }

    /// Scrolls as far as the selected line needs.
    fn scroll(&mut self) {
        let (height, place) = (self.height(), self.selected_place().unwrap_or_default());
        let last_top = self.lines.len().saturating_sub(height);
        self.top = self
            .top
            .clamp((place + 1).saturating_sub(height), place)
            .min(last_top);
    }

    fn nothing_found(&self, columns: usize) -> Vec<Row> {
        let lines: &[&str] = if self.has_waited {
            &[
                "No room on this network has answered. The client goes on looking.",
                "",
                "chat-client HOST [PORT]  joins a server that you know",
                "chat-client --doctor     says why no room may be found",
                "chat-server 0.0.0.0      opens a room on this machine",
            ]
        } else {
            &["Looking for rooms on this network ..."]
        };
        let rows = lines
            .iter()
            .flat_map(|line| wrap(&[], &[Span::new(Role::Note, *line)], columns.max(1), INDENT));
        rows.collect()
    }

    /// How many rooms there are; on a narrow screen, also where the selected one is.
    fn status(&self, columns: usize) -> Row {
        let here = self.lines.iter().filter(|line| !line.is_gone).count();
        let count = match here {
            0 => "no rooms".to_owned(),
            1 => "1 room".to_owned(),
            here => format!("{here} rooms"),
        };
        let full = if self.is_full { ", list full" } else { "" };
        let count = count + full;
        let selected = self.selected_place().and_then(|place| self.lines.get(place));
        let place = match selected {
            Some(line) if columns < ADDRESSES_FROM => line.found.address.joined(),
            _ => "rooms on this network".to_owned(),
        };
        let blanks = columns.saturating_sub(place.width() + count.width() + 2).max(1);
        let text = format!(" {place}{}{count} ", " ".repeat(blanks));
        Row::of(Role::Status, clip(&text, columns))
    }

    fn prompt(&self) -> String {
        if let Some(note) = &self.note {
            return format!("{note}; choose another one, or q to leave ");
        }
        if !self.typed.is_empty() {
            return format!("join room {}", self.typed);
        }
        match self.lines.len() {
            0 => "q: leave ".into(),
            1 => "Enter: join  q: leave ".into(),
            _ if self.size.columns < ADDRESSES_FROM => "Up, Down, Enter: join  q: leave ".into(),
            _ => "a number: join  Up, Down: select  Enter: join  q: leave ".into(),
        }
    }
}

/// The columns of a list.
struct Widths {
    number: usize,
    name: usize,
    /// None on a narrow screen.
    address: Option<usize>,
}

impl Widths {
    fn new(lines: &[Line], columns: usize) -> Self {
        let longest = |width: fn(&Line) -> usize| lines.iter().map(width).max().unwrap_or_default();
        let number = longest(|line| line.number.to_string().len());
        let address = longest(|line| line.found.address.joined().width());
        let address = (columns >= ADDRESSES_FROM).then_some(address.min(columns / 3));
        let marks = longest(|line| marks(line).width());
        let used = 2 + number + 2 + address.map_or(0, |address| address + 2) + 2 + marks;
        let name = longest(|line| line.found.room.name.as_str().width());
        let name = name.min(columns.saturating_sub(used).max(NAME_MIN));
        Self {
            number,
            name,
            address,
        }
    }

    /// Each column is a span of its own: a name that is written from right to left ends there.
    fn row(&self, line: &Line, is_selected: bool) -> Row {
        let role = |role| if line.is_gone { Role::Faint } else { role };
        let (cursor, name_role) = if is_selected {
            (">", Role::Own)
        } else {
            (" ", Role::Text)
        };
        let mut spans = vec![
            Span::new(Role::Prompt, format!("{cursor} ")),
            Span::new(
                role(name_role),
                format!("{:>width$}  ", line.number, width = self.number),
            ),
        ];
        let mut add = |role, text: &str, width| {
            let text = clip(text, width);
            let blanks = width.saturating_sub(text.width()) + 2;
            spans.push(Span::new(role, text));
            spans.push(Span::new(role, " ".repeat(blanks)));
        };
        add(role(name_role), line.found.room.name.as_str(), self.name);
        if let Some(width) = self.address {
            add(Role::Faint, &line.found.address.joined(), width);
        }
        let warns = line.found.key == KeyState::Changed && !line.is_gone;
        let marks_role = if warns { Role::Error } else { role(Role::Note) };
        spans.push(Span::new(marks_role, marks(line)));
        Row(spans)
    }
}

/// What a room asks for. The warning is first: it stays in view on a narrow screen.
fn marks(line: &Line) -> String {
    if line.is_gone {
        return "gone".into();
    }
    let about = line.found.room.about;
    let (changed, known) = match line.found.key {
        KeyState::New => (None, None),
        KeyState::Known => (None, Some("known key")),
        KeyState::Changed => (Some("KEY CHANGED"), None),
    };
    let marks = [
        changed,
        about.has_passphrase.then_some("passphrase"),
        about.is_sealed.then_some("sealed"),
        known,
    ];
    marks.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
