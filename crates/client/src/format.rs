//! Wording that both front ends share.

use crate::session::VerifyCode;
use chat_proto::text::{ROW_END, ROWS_MAX, TAB_STOP, Text};
use chat_proto::who::Who;
use jiff::Timestamp;
use std::borrow::Cow;
use unicode_width::UnicodeWidthStr;

/// The most users that a welcome names; `/who` lists all.
const NAMED_MAX: usize = 20;

/// The short name of a user: the nick, or without one the id.
pub(crate) fn name(who: &Who) -> String {
    match &who.nick {
        Some(nick) => nick.to_string(),
        None => who.id.to_string(),
    }
}

/// The user's own name and the other users, each by the name that `name` gives.
pub(crate) fn welcome(me: &Who, users: &[Who], name: impl Fn(&Who) -> String) -> String {
    let others = || users.iter().filter(|who| who.id != me.id);
    let named = others().take(NAMED_MAX).map(&name).collect::<Vec<_>>().join(", ");
    let here = match others().count() {
        0 => "nobody else is here".to_owned(),
        1 => format!("with you is {named}"),
        count if count <= NAMED_MAX => format!("with you are {named}"),
        count => format!("with you are {named}, and {} more", count - NAMED_MAX),
    };
    format!("you are {me}; {here}")
}

/// Whom the client's user should know to read in the clear, if there are any, each by the name that `name` gives.
pub(crate) fn in_the_clear(users: &[Who], name: impl Fn(&Who) -> String) -> Option<String> {
    let named = users
        .iter()
        .take(NAMED_MAX)
        .map(&name)
        .collect::<Vec<_>>()
        .join(", ");
    let reads = match users.len() {
        0 => return None,
        1 => "1 user here reads in the clear".to_owned(),
        count => format!("{count} users here read in the clear"),
    };
    let more = match users.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(", and {more} more"),
    };
    Some(format!("{reads}: {named}{more}"))
}

/// The result of `/verify`, and how to use it.
pub(crate) fn code(VerifyCode { who, code }: &VerifyCode) -> [String; 2] {
    [
        format!("your code with {who}: {code}"),
        format!(
            "compare it aloud: if it is the same, /verify {} yes; if not, somebody is between you",
            name(who)
        ),
    ]
}

/// The text of a private message, behind the names of both users. A star marks an action: who does it stands before.
pub(crate) fn private<'a>(text: &'a Text<'_>) -> Text<'a> {
    match text.action() {
        Some(action) => format!("* {action}").into(),
        None => text.borrow(),
    }
}

/// A text with blanks in place of its tabs. The first tab stop is where the text begins.
pub(crate) fn expand_tabs(text: &str) -> Cow<'_, str> {
    if !text.contains('\t') {
        return text.into();
    }
    let mut pieces = text.split('\t');
    let mut expanded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let blanks = TAB_STOP - expanded.width() % TAB_STOP;
        expanded.extend(std::iter::repeat_n(' ', blanks));
        expanded.push_str(piece);
    }
    expanded.into()
}

/// A time that the server sent, unless no calendar has it.
pub(crate) fn timestamp(unix_ms: u64) -> Option<Timestamp> {
    Timestamp::from_millisecond(i64::try_from(unix_ms).ok()?).ok()
}

/// A text with `end` in place of what ends its rows, of which it has [`ROWS_MAX`] at most, whoever sent it.
pub(crate) fn break_rows<'a>(text: &'a str, end: &str) -> Cow<'a, str> {
    match text.contains(ROW_END) {
        true => text
            .splitn(ROWS_MAX, ROW_END)
            .collect::<Vec<_>>()
            .join(end)
            .into(),
        false => text.into(),
    }
}

/// The widest cell that sets the distance of the columns; a wider one takes several.
const CELL_MAX: usize = 20;

/// Cells in rows of at most `width` columns, one below the other as far as they fit.
pub(crate) fn columns(cells: &[String], width: usize) -> Vec<String> {
    let widths = cells.iter().map(|cell| cell.width());
    let column = 2 + widths
        .filter(|&width| width <= CELL_MAX)
        .max()
        .unwrap_or(CELL_MAX);
    let mut rows: Vec<String> = Vec::new();
    for cell in cells {
        let used = rows.last().map_or(0, |row| row.width());
        let start = (used + 2).next_multiple_of(column);
        match rows.last_mut() {
            Some(row) if start + cell.width() <= width => {
                row.extend(std::iter::repeat_n(' ', start - used));
                row.push_str(cell);
            }
            _ => rows.push(cell.clone()),
        }
    }
    rows
}

/// The line above a list of users.
pub(crate) fn heading(count: usize) -> String {
    match count {
        1 => "1 user is here:".to_owned(),
        count => format!("{count} users are here:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_welcome_names_at_most_20_others() {
        let users: Vec<Who> = (1..=22)
            .map(|port| format!("10.0.0.9:{port}").parse().unwrap())
            .collect();
        let name = |who: &Who| format!("<{who}>");
        let with = |others: usize| welcome(&users[0], &users[..=others], name);
        assert_eq!(with(0), "you are 10.0.0.9:1; nobody else is here");
        assert_eq!(with(1), "you are 10.0.0.9:1; with you is <10.0.0.9:2>");
        assert_eq!(
            with(2),
            "you are 10.0.0.9:1; with you are <10.0.0.9:2>, <10.0.0.9:3>"
        );
        assert!(with(20).ends_with(", <10.0.0.9:20>, <10.0.0.9:21>"));
        assert!(with(21).ends_with(", <10.0.0.9:20>, <10.0.0.9:21>, and 1 more"));
    }

    #[test]
    fn users_who_read_in_the_clear_are_counted_and_named() {
        let users: Vec<Who> = (1..=22)
            .map(|port| format!("10.0.0.9:{port}").parse().unwrap())
            .collect();
        let with = |count: usize| in_the_clear(&users[..count], Who::to_string);
        assert_eq!(with(0), None);
        let one = "1 user here reads in the clear: 10.0.0.9:1";
        assert_eq!(with(1).as_deref(), Some(one));
        let two = "2 users here read in the clear: 10.0.0.9:1, 10.0.0.9:2";
        assert_eq!(with(2).as_deref(), Some(two));
        assert!(with(22).unwrap().ends_with(", 10.0.0.9:20, and 2 more"));
    }

    #[test]
    fn a_tab_ends_at_the_next_stop() {
        assert_eq!(expand_tabs("no tab"), "no tab");
        assert_eq!(expand_tabs("\ta"), "        a");
        assert_eq!(expand_tabs("ab\tc\t\td"), "ab      c               d");
        assert_eq!(expand_tabs("1234567\tx12345678\ty"), "1234567 x12345678       y");
        assert_eq!(expand_tabs("你好\tx"), "你好    x");
    }

    #[test]
    fn a_heading_counts_one_user_and_several() {
        assert_eq!(heading(1), "1 user is here:");
        assert_eq!(heading(2), "2 users are here:");
    }

    #[test]
    fn cells_stand_below_each_other() {
        let cells = ["alice", "bob (operator, verified)", "carol", "李雷", "d"].map(str::to_owned);
        assert_eq!(
            columns(&cells, 40),
            ["alice  bob (operator, verified)    carol", "李雷   d",]
        );
        assert_eq!(
            columns(&cells, 10),
            ["alice", "bob (operator, verified)", "carol", "李雷   d"]
        );
        assert_eq!(columns(&[], 10), [""; 0]);
    }

    #[test]
    fn a_text_has_no_more_rows_than_allowed() {
        assert_eq!(break_rows("a", "\n"), "a");
        assert_eq!(break_rows("a␊␊b", "\n  "), "a\n  \n  b");
        let broken = break_rows(&"x␊".repeat(60), "\n").into_owned();
        assert_eq!(broken.lines().count(), ROWS_MAX);
        assert!(broken.ends_with("x␊x␊"));
    }
}
