//! Line mode: one message a line, for pipes, scripts and screen readers.

pub(crate) mod json;
pub(crate) mod printer;
mod wrap;

use crate::args::Args;
use crate::client::FrontEnd;
use crate::command::Command;
use crate::direction::marked;
use crate::session::{Event, Session, UnderWay, too_long};
use chat_proto::TEXT_MAX;
use chat_proto::line::{Line, LineDecoder};
use chat_proto::now::Now;
use chat_proto::text::Text;
use chat_proto::who::WHO_MAX;
use chat_sys::is_transient;
use chat_sys::writer::Writer;
use jiff::tz::TimeZone;
use json::Json;
use nix::poll::{PollFd, PollFlags};
use printer::Printer;
use rustix::termios::tcgetwinsize;
use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;
use std::time::Duration;

/// The longest input line, in bytes: a command and a text. The session refuses longer texts.
const LINE_MAX: usize = TEXT_MAX + WHO_MAX + 64;
/// The most bytes of one read.
const READ_MAX: usize = 16 * 1024;

/// How often a person who waits for a file is told how far it is.
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// The columns of a terminal that does not tell.
const DEFAULT_WIDTH: usize = 80;

/// Reads lines from the standard input. Prints the conversation to the standard output, everything else to the standard
/// error.
#[derive(Debug)]
pub struct LineMode {
    /// `None` after its end.
    input: Option<File>,
    decoder: LineDecoder,
    reader: Reader,
    format: Format,
    /// The time of the last tick, in milliseconds since the Unix epoch.
    now: u64,
    stdout: Writer,
    /// `None` if both are the same, as on a terminal: the standard output takes everything then. Two writers to one full
    /// terminal would mix their lines.
    stderr: Option<Writer>,
    /// The standard error is closed.
    is_stderr_closed: bool,
    /// After `/quit`. Another one leaves at once.
    is_leaving: bool,
    /// To whom a file is to be sent, and which.
    file: Option<(String, PathBuf)>,
    /// When a person who waits for it was last told how far it is.
    told: Option<Duration>,
}

/// Makes requests of lines.
#[derive(Debug)]
struct Reader {
    commands: bool,
    /// A person types. Otherwise a program or a file is the input, and has to arrive unchanged.
    typed: bool,
    /// How many lines were read.
    lines: u64,
}

/// The format of events.
#[derive(Debug)]
enum Format {
    Lines(Printer),
    Json(Json),
}

impl LineMode {
    /// Line mode over the standard streams.
    ///
    /// # Errors
    /// If the system has no more descriptors.
    pub fn new(args: &Args, zone: TimeZone, now: Now) -> io::Result<Self> {
        let stdin = io::stdin();
        let typed = stdin.is_terminal();
        let file = args.to.clone().zip(args.file.clone());
        let (conversation, history) = (!args.send_only && file.is_none(), args.history);
        let format = if args.json {
            Format::Json(Json {
                conversation,
                history,
                me: None,
            })
        } else {
            Format::Lines(Printer {
                conversation,
                history,
                typed: typed && file.is_none(),
                zone,
            })
        };
        let input = if args.recv_only || file.is_some() {
            None
        } else {
            Some(File::from(stdin.as_fd().try_clone_to_owned()?))
        };
        let (stdout, stderr) = (
            Writer::new(io::stdout().as_fd())?,
            Writer::new(io::stderr().as_fd())?,
        );
        Ok(Self {
            input,
            decoder: LineDecoder::new(LINE_MAX),
            reader: Reader {
                commands: !args.no_commands && args.to.is_none(),
                typed,
                lines: 0,
            },
            format,
            now: now.unix_ms,
            stderr: Some(stderr).filter(|stderr| !stderr.is_same_as(&stdout)),
            stdout,
            is_stderr_closed: false,
            is_leaving: false,
            file,
            told: None,
        })
    }

    fn read_lines(&mut self, mut bytes: &[u8], session: &mut Session, now: Now) {
        while let Some(line) = self.decoder.next(&mut bytes) {
            if self.is_leaving {
                // Other input after /quit is ignored.
                if matches!(line, Line::Whole(b"/quit" | b"/exit")) {
                    session.leave(now);
                }
                continue;
            }
            self.reader.read(line, session, now);
            if session.is_ending() {
                self.is_leaving = true;
                self.say_what_waits(session);
            }
        }
    }

    /// Handles the end of the input. The last line may lack its line feed.
    fn end(&mut self, session: &mut Session, now: Now) {
        self.input = None;
        let rest = self.decoder.finish();
        if !rest.is_empty() && !self.is_leaving {
            self.reader.read(Line::Whole(&rest), session, now);
        }
        session.end_input(now);
        self.say_what_waits(session);
    }

    /// A person may not want to wait for a file.
    fn say_what_waits(&mut self, session: &Session) {
        if let Some(file) = session.awaited_file().filter(|_| self.reader.typed) {
            let text = format!("leaving once {file}; Ctrl-C leaves at once");
            self.show(&Event::Warning(Text::from(text)));
        }
    }
}

impl Reader {
    fn read(&mut self, line: Line<'_>, session: &mut Session, now: Now) {
        self.lines += 1;
        let bytes = match line {
            Line::Whole(bytes) => bytes,
            Line::TooLong => return self.complain(&too_long(), session),
        };
        let line = String::from_utf8_lossy(bytes);
        let command = match self.commands {
            true => Command::parse(&line),
            false => Command::text(&line),
        };
        if self.typed {
            return session.request(&command, now);
        }
        // A file arrives as it is, with its empty lines, or its user is told.
        let command = match command {
            Command::Nothing => Command::Say(Text::new(&line)),
            command => command,
        };
        if let Command::Say(text) | Command::Msg(_, text) | Command::Reply(text) = &command
            && text.as_str().len() > TEXT_MAX
        {
            return self.complain(&too_long(), session);
        }
        if let Some(why) = change(bytes) {
            self.complain(&format!("not sent as it was: it {why}"), session);
        }
        session.request(&command, now);
    }

    fn complain(&self, why: &str, session: &mut Session) {
        match self.typed {
            true => session.bad_line(why),
            false => session.bad_line(&format!("line {}: {why}", self.lines)),
        }
    }
}

/// Wraps what was added from `start` on, if it goes to a terminal, which may reorder each row. Where a person types, the
/// first line begins a row.
fn wrap_from(start: usize, output: &mut Writer, typed: bool) {
    if output.pending().len() == start {
        return;
    }
    // Its size may be another each time.
    let Ok(size) = tcgetwinsize(output.as_fd()) else {
        return;
    };
    let width = match size.ws_col {
        0 => DEFAULT_WIDTH,
        columns => columns.into(),
    };
    let lines = output.pending().split_off(start);
    let rows = wrap::wrap(&String::from_utf8_lossy(&lines), width);
    let rows: String = rows.split_inclusive('\n').map(marked).collect();
    if typed && start == 0 {
        output.pending().extend_from_slice(wrap::to_row(width).as_bytes());
    }
    output.pending().extend_from_slice(rows.as_bytes());
}

/// Why a line can't be sent as it is.
fn change(line: &[u8]) -> Option<&'static str> {
    let Ok(line) = str::from_utf8(line) else {
        return Some("is not UTF-8");
    };
    if Text::new(line).as_str() == line {
        return None;
    }
    let is_control = |character: char| character.is_control() && character != '\t';
    Some(match line.contains(is_control) {
        true => "has control characters",
        false => "has characters that can't be shown",
    })
}

impl FrontEnd for LineMode {
    fn input(&self, taken: bool) -> Option<BorrowedFd<'_>> {
        self.input
            .as_ref()
            .filter(|_| taken || self.is_leaving)
            .map(File::as_fd)
    }

    fn read(&mut self, session: &mut Session, now: Now) -> io::Result<()> {
        let Some(input) = &mut self.input else {
            return Ok(());
        };
        let mut buffer = [0; READ_MAX];
        match input.read(&mut buffer) {
            Ok(0) => self.end(session, now),
            Ok(length) => self.read_lines(buffer.get(..length).unwrap_or_default(), session, now),
            Err(error) if is_transient(&error) => {}
            // The terminal hung up.
            Err(error) if error.raw_os_error() == Some(nix::libc::EIO) => self.end(session, now),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn show(&mut self, event: &Event) {
        let out = self.stdout.pending();
        let printer = match &mut self.format {
            Format::Lines(printer) => printer,
            Format::Json(json) => return json.print(event, self.now, out),
        };
        let (start, mut diagnostics) = (out.len(), Vec::new());
        printer.print(event, self.now, out, &mut diagnostics);
        wrap_from(start, &mut self.stdout, self.reader.typed);
        let stderr = self.stderr.as_mut().unwrap_or(&mut self.stdout);
        let start = stderr.pending().len();
        stderr.pending().append(&mut diagnostics);
        wrap_from(start, stderr, self.reader.typed);
    }

    fn tick(&mut self, session: &mut Session, now: Now) {
        self.now = now.unix_ms;
        if let Some((to, path)) = self.file.take_if(|_| session.takes_input()) {
            session.offer_file(&to, &path, now);
            session.end_input(now);
            self.told = io::stderr().is_terminal().then_some(now.monotonic);
        }
        if let Some(told) = &mut self.told
            && now.monotonic >= *told + PROGRESS_EVERY
        {
            *told = now.monotonic;
            for UnderWay { name, progress, .. } in session.files_under_way() {
                self.show(&Event::Answer(Text::from(format!("{name} {progress}"))));
            }
        }
    }

    /// Diagnostics first: they tell the client's own name before the first message.
    fn flush(&mut self, _: &Session, _: Now) -> io::Result<()> {
        if let Some(stderr) = &mut self.stderr
            && (self.is_stderr_closed || stderr.flush().is_err())
        {
            self.is_stderr_closed = true;
            stderr.pending().clear();
        }
        self.stdout.flush()
    }

    fn outputs(&self) -> Vec<PollFd<'_>> {
        let mut outputs = vec![PollFd::new(self.stdout.as_fd(), self.stdout.interest())];
        if let Some(stderr) = self.stderr.as_ref().filter(|stderr| !stderr.is_empty()) {
            outputs.push(PollFd::new(stderr.as_fd(), PollFlags::POLLOUT));
        }
        outputs
    }

    fn has_room(&self) -> bool {
        self.stdout.has_room() && self.stderr.as_ref().is_none_or(Writer::has_room)
    }

    fn is_flushed(&self) -> bool {
        self.stdout.is_empty() && self.stderr.as_ref().is_none_or(Writer::is_empty)
    }
}
