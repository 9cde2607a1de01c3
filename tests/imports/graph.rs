//! Which file of a crate needs which, and the circles in that.

use super::lexer::Token;
use super::modules::{Alias, Import, Module, ModuleId, Sources, read_crate};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

/// Longer chains of re-exports are taken for a mistake of the source.
const REEXPORTS_MAX: usize = 16;

/// For each file the files that it needs, and the names that it needs them for.
type Needs = BTreeMap<PathBuf, BTreeMap<PathBuf, BTreeSet<String>>>;

/// Files that all need each other, directly or through one another.
#[derive(Debug)]
pub(super) struct Circle {
    files: Vec<PathBuf>,
    /// Which file needs which, and the names that tie them.
    ties: Vec<(PathBuf, PathBuf, Vec<String>)>,
}

impl fmt::Display for Circle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} files import each other:", self.files.len())?;
        for (from, to, names) in &self.ties {
            writeln!(
                f,
                "  {} -> {}: {}",
                from.display(),
                to.display(),
                names.join(", ")
            )?;
        }
        Ok(())
    }
}

/// The circles in the crate whose root is this file.
pub(super) fn circles(root: &Path, sources: &Sources) -> Vec<Circle> {
    let needs = Crate::read(root, sources).needs();
    let reached: BTreeMap<_, _> = needs.keys().map(|file| (file, reached(file, &needs))).collect();
    let mut circles: Vec<Circle> = Vec::new();
    for file in needs.keys().filter(|file| reached[file].contains(*file)) {
        if circles.iter().any(|circle| circle.files.contains(file)) {
            continue;
        }
        let files = needs
            .keys()
            .filter(|other| reached[file].contains(*other) && reached[*other].contains(file));
        let files: Vec<PathBuf> = files.cloned().collect();
        let ties = files.iter().flat_map(|from| {
            let inside = needs[from].iter().filter(|(to, _)| files.contains(to));
            inside.map(|(to, names)| (from.clone(), to.clone(), names.iter().cloned().collect()))
        });
        circles.push(Circle {
            ties: ties.collect(),
            files,
        });
    }
    circles
}

/// Every file that can be reached from this one in at least one step.
fn reached(file: &Path, needs: &Needs) -> BTreeSet<PathBuf> {
    let mut reached = BTreeSet::new();
    let mut open = vec![file.to_owned()];
    while let Some(file) = open.pop() {
        for next in needs.get(&file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(next.clone()) {
                open.push(next.clone());
            }
        }
    }
    reached
}

struct Crate {
    modules: Vec<Module>,
    /// Functions of types, when their `impl` stands in another file than the type.
    foreign_functions: BTreeMap<(Item, String), PathBuf>,
    /// Files with an `impl` that defines a function of this name.
    functions: BTreeMap<String, BTreeSet<PathBuf>>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    file: PathBuf,
    name: String,
}

enum Target {
    Module(ModuleId),
    /// An item, and how many names of the path led to it.
    Item(Item, usize),
}

impl Crate {
    fn read(root: &Path, sources: &Sources) -> Self {
        let mut this = Self {
            modules: read_crate(root, sources),
            foreign_functions: BTreeMap::new(),
            functions: BTreeMap::new(),
        };
        for (id, module) in this.modules.iter().enumerate() {
            for block in &module.impls {
                let target = this.resolve(id, &block.target, 0);
                for function in &block.own_functions {
                    let files = this.functions.entry(function.clone()).or_default();
                    files.insert(module.file.clone());
                    if let Some(Target::Item(item, _)) = &target
                        && item.file != module.file
                    {
                        this.foreign_functions
                            .insert((item.clone(), function.clone()), module.file.clone());
                    }
                }
            }
        }
        this
    }

    /// What a path leads to, if that is in this crate.
    fn resolve(&self, from: ModuleId, path: &[String], depth: usize) -> Option<Target> {
        let mut module = from;
        let mut known = false;
        for (index, name) in path.iter().enumerate() {
            match name.as_str() {
                "crate" => module = 0,
                "self" => {}
                "super" => module = self.modules[module].parent?,
                _ => match self.look_up(module, name, index + 1 == path.len(), depth)? {
                    Target::Module(child) => module = child,
                    Target::Item(item, _) => return Some(Target::Item(item, index + 1)),
                },
            }
            known = true;
        }
        known.then_some(Target::Module(module))
    }

    fn look_up(&self, module: ModuleId, name: &str, is_last: bool, depth: usize) -> Option<Target> {
        if depth > REEXPORTS_MAX {
            return None;
        }
        let this = &self.modules[module];
        let child = this.children.get(name).map(|child| Target::Module(*child));
        let item = this.items.iter().any(|item| item == name).then(|| {
            let file = this.file.clone();
            Target::Item(
                Item {
                    file,
                    name: name.to_owned(),
                },
                1,
            )
        });
        // A module and a function may have the same name.
        let own = if is_last { item.or(child) } else { child.or(item) };
        own.or_else(|| {
            let named = this.imports.iter().filter(|import| import.is_as(name));
            named
                .into_iter()
                .find_map(|import| self.resolve(module, &import.path, depth + 1))
        })
        .or_else(|| {
            let globs = this
                .imports
                .iter()
                .filter(|import| matches!(import.alias, Alias::Glob));
            globs
                .into_iter()
                .find_map(|glob| match self.resolve(module, &glob.path, depth + 1)? {
                    Target::Module(source) if source != module => {
                        self.look_up(source, name, is_last, depth + 1)
                    }
                    _ => None,
                })
        })
    }

    fn needs(&self) -> Needs {
        let mut needs: Needs = self
            .modules
            .iter()
            .map(|module| (module.file.clone(), BTreeMap::new()))
            .collect();
        for (id, module) in self.modules.iter().enumerate() {
            let mut found = Found {
                this: self,
                module: id,
                named: BTreeMap::new(),
            };
            for import in &module.imports {
                if !self.is_declaration(id, import) {
                    found.path(&import.path, None);
                }
            }
            found.tokens(&module.code, None);
            for block in &module.impls {
                let target = match self.resolve(id, &block.target, 0) {
                    Some(Target::Item(item, _)) => Some(item),
                    _ => None,
                };
                found.tokens(&block.code, target.as_ref());
            }
            let of_file = needs.entry(module.file.clone()).or_default();
            for (file, names) in found.named {
                if file != module.file {
                    of_file.entry(file).or_default().extend(names);
                }
            }
        }
        needs
    }

    /// `pub use` of something that stands below the module: it says where a name is, and needs nothing itself.
    fn is_declaration(&self, module: ModuleId, import: &Import) -> bool {
        let Some(Target::Item(item, _)) = self.resolve(module, &import.path, 0) else {
            return import.is_public;
        };
        let mut below = vec![module];
        while let Some(next) = below.pop() {
            if self.modules[next].file == item.file {
                return import.is_public;
            }
            below.extend(self.modules[next].children.values());
        }
        false
    }
}

impl Import {
    fn is_as(&self, name: &str) -> bool {
        matches!(&self.alias, Alias::Name(alias) if alias == name)
    }
}

/// The names that one module uses, by the files that define them.
struct Found<'a> {
    this: &'a Crate,
    module: ModuleId,
    named: BTreeMap<PathBuf, BTreeSet<String>>,
}

impl Found<'_> {
    /// `own` is the type whose `impl` the tokens belong to.
    fn tokens(&mut self, tokens: &[Token], own: Option<&Item>) {
        let mut at = 0;
        while let Some(token) = tokens.get(at) {
            let before = &tokens[..at];
            at += 1;
            let name = match token {
                Token::Group(_, inner) => {
                    self.tokens(inner, own);
                    continue;
                }
                Token::Name(name) => name,
                _ => continue,
            };
            let is_call = matches!(tokens.get(at), Some(Token::Group('(', _) | Token::PathSeparator));
            match before {
                [.., receiver, Token::Mark('.')] if is_call => {
                    self.method(name, own.filter(|_| receiver.is_name("self")));
                }
                // A field, or the rest of `<T>::name`.
                [.., Token::Mark('.') | Token::PathSeparator] => {}
                _ => {
                    let mut path = vec![name.clone()];
                    while let Some([Token::PathSeparator, Token::Name(next)]) = tokens.get(at..at + 2) {
                        path.push(next.clone());
                        at += 2;
                    }
                    // `name: value` and `name: Type` define a name.
                    if path.len() > 1 || tokens.get(at) != Some(&Token::Mark(':')) {
                        self.path(&path, own);
                    }
                }
            }
        }
    }

    fn path(&mut self, path: &[String], own: Option<&Item>) {
        let (item, rest) = match (path, own) {
            ([first, rest @ ..], Some(own)) if first == "Self" => (own.clone(), rest),
            _ => match self.this.resolve(self.module, path, 0) {
                Some(Target::Item(item, length)) => (item, &path[length..]),
                _ => return,
            },
        };
        if let Some(function) = rest.first() {
            self.function(&item, function);
        }
        if path.first().is_some_and(|first| first != "Self") {
            self.named.entry(item.file).or_default().insert(item.name);
        }
    }

    /// A call of a method, on `self` or on something whose type is not known here.
    fn method(&mut self, name: &str, own: Option<&Item>) {
        if let Some(own) = own {
            self.function(own, name);
            return;
        }
        // The name tells the type if only one `impl` has it, and the module must know the type.
        if self.this.functions.get(name).is_none_or(|files| files.len() > 1) {
            return;
        }
        let types = self
            .this
            .foreign_functions
            .keys()
            .filter(|(_, function)| function == name);
        for (item, _) in types {
            let known = self.this.look_up(self.module, &item.name, true, 0);
            if matches!(known, Some(Target::Item(known, _)) if known == *item) {
                self.function(item, name);
            }
        }
    }

    /// A function of a type is an item of the file that holds the `impl`.
    fn function(&mut self, item: &Item, function: &str) {
        if let Some(file) = self
            .this
            .foreign_functions
            .get(&(item.clone(), function.to_owned()))
        {
            let name = format!("{}::{function}", item.name);
            self.named.entry(file.clone()).or_default().insert(name);
        }
    }
}
