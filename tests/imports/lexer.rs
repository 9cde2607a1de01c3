//! Rust source as a tree of tokens: enough to find names and to skip what stands in brackets.

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// An identifier or a keyword.
    Name(String),
    /// `::`
    PathSeparator,
    /// A single character that is none of the above.
    Mark(char),
    /// A string, a character, a number or a lifetime.
    Literal,
    /// The opening bracket and everything up to the closing one.
    Group(char, Vec<Token>),
}

impl Token {
    pub(super) fn is_name(&self, expected: &str) -> bool {
        matches!(self, Self::Name(name) if name == expected)
    }

    pub(super) fn name(&self) -> Option<&str> {
        match self {
            Self::Name(name) => Some(name),
            _ => None,
        }
    }
}

/// The tokens of a file, without comments and without code that is compiled for unit tests only.
pub(super) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer {
        rest: source.chars().collect(),
        at: 0,
    };
    let tokens = lexer.group();
    assert_eq!(lexer.peek(0), None, "a bracket is closed that was not opened");
    without_tests(tokens)
}

struct Lexer {
    rest: Vec<char>,
    at: usize,
}

impl Lexer {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.rest.get(self.at + ahead).copied()
    }

    fn skip_while(&mut self, accept: impl Fn(char) -> bool) {
        while self.peek(0).is_some_and(&accept) {
            self.at += 1;
        }
    }

    /// Reads to the end, or up to the closing bracket of this group.
    fn group(&mut self) -> Vec<Token> {
        let mut tokens = Vec::new();
        while let Some(c) = self.peek(0) {
            match c {
                ')' | ']' | '}' => break,
                '(' | '[' | '{' => {
                    self.at += 1;
                    let inner = self.group();
                    assert!(self.peek(0).is_some(), "a bracket stays open");
                    self.at += 1;
                    tokens.push(Token::Group(c, inner));
                }
                '/' if self.peek(1) == Some('/') => self.skip_while(|c| c != '\n'),
                '/' if self.peek(1) == Some('*') => self.skip_block_comment(),
                '"' => tokens.push(self.string()),
                '\'' => tokens.push(self.quote()),
                ':' if self.peek(1) == Some(':') => {
                    self.at += 2;
                    tokens.push(Token::PathSeparator);
                }
                _ if c.is_alphabetic() || c == '_' => tokens.push(self.word()),
                _ if c.is_ascii_digit() => {
                    self.skip_while(|c| c.is_alphanumeric() || c == '_');
                    tokens.push(Token::Literal);
                }
                _ => {
                    self.at += 1;
                    if !c.is_whitespace() {
                        tokens.push(Token::Mark(c));
                    }
                }
            }
        }
        tokens
    }

    /// Block comments nest.
    fn skip_block_comment(&mut self) {
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => depth += 1,
                (Some('*'), Some('/')) => depth -= 1,
                (Some(_), _) => {
                    self.at += 1;
                    continue;
                }
                (None, _) => return,
            }
            self.at += 2;
            if depth == 0 {
                return;
            }
        }
    }

    /// A word: a name, or the prefix of a literal.
    fn word(&mut self) -> Token {
        let start = self.at;
        self.skip_while(|c| c.is_alphanumeric() || c == '_');
        let word: String = self.rest[start..self.at].iter().collect();
        match (word.as_str(), self.peek(0)) {
            ("b" | "c", Some('"')) => self.string(),
            ("b", Some('\'')) => self.quote(),
            ("r" | "br" | "cr", Some('"' | '#')) => {
                let hashes = (0..).take_while(|&ahead| self.peek(ahead) == Some('#')).count();
                if self.peek(hashes) == Some('"') {
                    self.raw_string(hashes)
                } else {
                    // A raw identifier, such as `r#type`.
                    self.at += hashes;
                    self.word()
                }
            }
            _ => Token::Name(word),
        }
    }

    fn string(&mut self) -> Token {
        self.at += 1;
        while let Some(c) = self.peek(0) {
            self.at += if c == '\\' { 2 } else { 1 };
            if c == '"' {
                break;
            }
        }
        Token::Literal
    }

    fn raw_string(&mut self, hashes: usize) -> Token {
        self.at += hashes + 1;
        while let Some(c) = self.peek(0) {
            self.at += 1;
            if c == '"' && (0..hashes).all(|ahead| self.peek(ahead) == Some('#')) {
                self.at += hashes;
                break;
            }
        }
        Token::Literal
    }

    /// A character or a lifetime.
    fn quote(&mut self) -> Token {
        self.at += 1;
        if self.peek(0) == Some('\\') {
            self.at += 2;
            self.skip_while(|c| c != '\'');
            self.at += 1;
        } else if self.peek(1) == Some('\'') {
            self.at += 2;
        } else {
            self.skip_while(|c| c.is_alphanumeric() || c == '_');
        }
        Token::Literal
    }
}

/// Leaves out every item, field or statement with the attribute `#[cfg(test)]`.
fn without_tests(tokens: Vec<Token>) -> Vec<Token> {
    let mut kept = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        if token == Token::Mark('#') && tokens.peek().is_some_and(is_for_tests) {
            tokens.next();
            skip_item(&mut tokens);
            continue;
        }
        if token == Token::Mark('#') && tokens.peek() == Some(&Token::Mark('!')) {
            tokens.next();
            if tokens.next().as_ref().is_some_and(is_for_tests) {
                return Vec::new();
            }
            continue;
        }
        kept.push(match token {
            Token::Group(bracket, inner) => Token::Group(bracket, without_tests(inner)),
            token => token,
        });
    }
    kept
}

/// `[cfg(test)]`, or a combination that requires it, such as `[cfg(all(test, unix))]`.
fn is_for_tests(attribute: &Token) -> bool {
    let Token::Group('[', attribute) = attribute else {
        return false;
    };
    let [Token::Name(cfg), Token::Group('(', condition)] = attribute.as_slice() else {
        return false;
    };
    cfg == "cfg"
        && match condition.as_slice() {
            [Token::Name(name)] => name == "test",
            [Token::Name(all), Token::Group('(', parts)] => {
                all == "all" && parts.iter().any(|part| part.is_name("test"))
            }
            _ => false,
        }
}

/// Skips what an attribute belongs to: up to a semicolon, a comma or, but for `use`, the end of a block.
fn skip_item(tokens: &mut impl Iterator<Item = Token>) {
    let mut ends_with_semicolon = false;
    for token in tokens {
        match token {
            Token::Name(name) => {
                ends_with_semicolon |= matches!(name.as_str(), "use" | "const" | "static" | "type" | "let");
                ends_with_semicolon &= name != "fn";
            }
            Token::Mark(';' | ',') => return,
            Token::Group('{', _) if !ends_with_semicolon => return,
            _ => {}
        }
    }
}
