//! The modules of one crate: what each defines, imports and names.

use super::lexer::{Token, tokens};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The text of every file, by its path.
pub(super) type Sources = BTreeMap<PathBuf, String>;

/// An index into the modules of a crate; the root comes first.
pub(super) type ModuleId = usize;

pub(super) struct Module {
    pub(super) file: PathBuf,
    pub(super) parent: Option<ModuleId>,
    pub(super) children: BTreeMap<String, ModuleId>,
    /// Names of the items that the module defines itself.
    pub(super) items: Vec<String>,
    pub(super) imports: Vec<Import>,
    pub(super) impls: Vec<Impl>,
    /// Everything else: declarations, bodies and attributes.
    pub(super) code: Vec<Token>,
}

/// One leaf of a `use`.
pub(super) struct Import {
    pub(super) path: Vec<String>,
    pub(super) alias: Alias,
    /// `pub use`, with any visibility.
    pub(super) is_public: bool,
}

pub(super) enum Alias {
    Name(String),
    Glob,
}

/// An `impl` block.
pub(super) struct Impl {
    /// The path of the type that gets the methods.
    pub(super) target: Vec<String>,
    /// The functions, unless the block implements a trait.
    pub(super) own_functions: Vec<String>,
    pub(super) code: Vec<Token>,
}

/// Reads the crate whose root is this file.
pub(super) fn read_crate(root: &Path, sources: &Sources) -> Vec<Module> {
    let mut reader = Reader {
        sources,
        modules: Vec::new(),
    };
    let directory = root.parent().unwrap_or(Path::new("")).to_owned();
    reader.read_file(root, &directory, None);
    reader.modules
}

struct Reader<'a> {
    sources: &'a Sources,
    modules: Vec<Module>,
}

impl Reader<'_> {
    /// `directory` holds the files of the module's children.
    fn read_file(&mut self, file: &Path, directory: &Path, parent: Option<ModuleId>) -> ModuleId {
        let tokens = tokens(&self.sources[file]);
        self.read_module(file, directory, parent, &tokens)
    }

    fn read_module(
        &mut self,
        file: &Path,
        directory: &Path,
        parent: Option<ModuleId>,
        tokens: &[Token],
    ) -> ModuleId {
        let id = self.modules.len();
        self.modules.push(Module {
            file: file.to_owned(),
            parent,
            children: BTreeMap::new(),
            items: Vec::new(),
            imports: Vec::new(),
            impls: Vec::new(),
            code: Vec::new(),
        });
        let mut rest = tokens;
        while let Some((first, after)) = rest.split_first() {
            let before = &tokens[..tokens.len() - rest.len()];
            rest = match (first.name(), after) {
                (Some("mod"), [Token::Name(name), Token::Mark(';'), after @ ..]) => {
                    if let Some((file, inner)) = self.child_file(directory, name) {
                        let child = self.read_file(&file, &inner, Some(id));
                        self.modules[id].children.insert(name.clone(), child);
                    }
                    after
                }
                (Some("mod"), [Token::Name(name), Token::Group('{', body), after @ ..]) => {
                    let child = self.read_module(file, &directory.join(name), Some(id), body);
                    self.modules[id].children.insert(name.clone(), child);
                    after
                }
                // `-> impl Trait` is a type.
                (Some("impl"), _) if before.last() != Some(&Token::Mark('>')) => self.read_impl(id, after),
                (Some("macro_rules"), [Token::Mark('!'), Token::Name(name), after @ ..]) => {
                    self.modules[id].items.push(name.clone());
                    after
                }
                (Some("struct" | "enum" | "union" | "trait" | "type" | "fn" | "const" | "static"), _) => {
                    let name = match after {
                        [Token::Name(keyword), Token::Name(name), ..] if keyword == "mut" => Some(name),
                        [Token::Name(name), ..] if !matches!(name.as_str(), "fn" | "unsafe" | "_") => {
                            Some(name)
                        }
                        _ => None,
                    };
                    self.modules[id].items.extend(name.cloned());
                    self.modules[id].code.push(first.clone());
                    after
                }
                _ => {
                    self.modules[id].code.push(first.clone());
                    after
                }
            };
        }
        let module = &mut self.modules[id];
        let mut imports = Vec::new();
        module.code = take_imports(std::mem::take(&mut module.code), &mut imports);
        for block in &mut module.impls {
            block.code = take_imports(std::mem::take(&mut block.code), &mut imports);
        }
        module.imports = imports;
        id
    }

    /// The file of a child module and the directory of that module's own children.
    fn child_file(&self, directory: &Path, name: &str) -> Option<(PathBuf, PathBuf)> {
        let inner = directory.join(name);
        [directory.join(format!("{name}.rs")), inner.join("mod.rs")]
            .into_iter()
            .find(|file| self.sources.contains_key(file))
            .map(|file| (file, inner))
    }

    fn read_impl<'a>(&mut self, module: ModuleId, after: &'a [Token]) -> &'a [Token] {
        let body = after
            .iter()
            .position(|token| matches!(token, Token::Group('{', _)));
        let Some((head, [Token::Group(_, body), rest @ ..])) = body.map(|at| after.split_at(at)) else {
            return after;
        };
        let head = without_generics(head);
        let of_trait = head.iter().position(|token| token.is_name("for"));
        let target = head.get(of_trait.map_or(0, |at| at + 1)..).unwrap_or_default();
        let functions = body.windows(2).filter(|pair| pair[0].is_name("fn"));
        let functions = functions.filter_map(|pair| pair[1].name().map(str::to_owned));
        let mut code = after[..after.len() - rest.len() - 1].to_vec();
        code.extend_from_slice(body);
        self.modules[module].impls.push(Impl {
            target: first_path(target),
            own_functions: if of_trait.is_none() {
                functions.collect()
            } else {
                Vec::new()
            },
            code,
        });
        rest
    }
}

/// What is left of the head of an `impl` without everything between `<` and `>`.
fn without_generics(head: &[Token]) -> Vec<Token> {
    let mut depth = 0;
    let mut kept = Vec::new();
    let mut before = None;
    for token in head {
        match token {
            Token::Mark('<') => depth += 1,
            // The head of an `impl` may hold `Fn() -> T`.
            Token::Mark('>') if before != Some(&Token::Mark('-')) => depth -= 1,
            token if depth == 0 => kept.push(token.clone()),
            _ => {}
        }
        before = Some(token);
    }
    kept
}

fn first_path(tokens: &[Token]) -> Vec<String> {
    let start = tokens
        .iter()
        .position(|token| token.name().is_some_and(|name| name != "dyn"));
    let mut path = Vec::new();
    for pair in tokens[start.unwrap_or(tokens.len())..].chunks(2) {
        path.extend(pair[0].name().map(str::to_owned));
        if pair.get(1) != Some(&Token::PathSeparator) {
            break;
        }
    }
    path
}

/// Moves every `use` out of the tokens, wherever it stands. One inside a function counts for the whole module.
fn take_imports(tokens: Vec<Token>, imports: &mut Vec<Import>) -> Vec<Token> {
    let mut kept: Vec<Token> = Vec::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            // `+ use<'a>` in a type is no import.
            Token::Name(name) if name == "use" && tokens.peek() != Some(&Token::Mark('<')) => {
                let tree: Vec<Token> = tokens
                    .by_ref()
                    .take_while(|token| *token != Token::Mark(';'))
                    .collect();
                let is_public = match kept.as_slice() {
                    [.., last] if last.is_name("pub") => true,
                    [.., before, Token::Group('(', _)] => before.is_name("pub"),
                    _ => false,
                };
                leaves(&tree, &[], is_public, imports);
            }
            Token::Group(bracket, inner) => kept.push(Token::Group(bracket, take_imports(inner, imports))),
            token => kept.push(token),
        }
    }
    kept
}

/// Writes out the tree of a `use`: `a::{b, c::{d, e}}` has three leaves.
fn leaves(tree: &[Token], before: &[String], is_public: bool, imports: &mut Vec<Import>) {
    let mut path = before.to_vec();
    let mut alias = None;
    let mut rest = tree;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        match first {
            Token::Name(name) if name == "as" => {
                alias = after.first().and_then(Token::name).map(str::to_owned);
                break;
            }
            // `a::{self}` imports `a`.
            Token::Name(name) if name == "self" && !path.is_empty() => {}
            Token::Name(name) => path.push(name.clone()),
            Token::Mark('*') => {
                imports.push(Import {
                    path,
                    alias: Alias::Glob,
                    is_public,
                });
                return;
            }
            Token::Group('{', branches) => {
                for branch in branches.split(|token| *token == Token::Mark(',')) {
                    if !branch.is_empty() {
                        leaves(branch, &path, is_public, imports);
                    }
                }
                return;
            }
            _ => {}
        }
    }
    let Some(name) = alias.or_else(|| path.last().cloned()) else {
        return;
    };
    imports.push(Import {
        path,
        alias: Alias::Name(name),
        is_public,
    });
}
