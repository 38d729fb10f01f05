//! The copy of the workspace that the mutants are written into.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use quote::ToTokens;
use serde_json::Value;

use crate::instrument::{Instrumenter, Mutant, is_of_tests};

/// What is added to the root of the instrumented crate.
const RUNTIME: &str = include_str!("runtime.rs.txt");

/// Tells the instrumented tests to run all their cases.
pub(crate) const FULL: &str = "MUTANT_FULL";

/// A workspace, one package of it, and where its mutants live.
pub(crate) struct Tree {
    /// The workspace that is asked about.
    root: PathBuf,
    /// Its copy.
    pub(crate) copy: PathBuf,
    /// Everything of ours: the copy, its target, results.
    pub(crate) home: PathBuf,
    pub(crate) package: String,
    /// The package's folder, from the root.
    pub(crate) folder: PathBuf,
    /// The file of its library, from the root.
    library: PathBuf,
}

impl Tree {
    /// Takes the name of a package of the workspace that the working directory is in.
    ///
    /// # Errors
    /// Cargo cannot tell, or the package has no library.
    pub(crate) fn find(package: &str) -> anyhow::Result<Self> {
        let mut cargo = cargo();
        cargo.args(["metadata", "--no-deps", "--format-version", "1"]);
        let metadata: Value = serde_json::from_slice(&output(&mut cargo)?)?;
        let path = |value: &Value| value.as_str().map(PathBuf::from);
        let root = path(&metadata["workspace_root"]).context("a workspace has a root")?;
        let target = path(&metadata["target_directory"]).context("a workspace has a target")?;
        let packages = metadata["packages"].as_array().context("a workspace has packages")?;
        let found = packages
            .iter()
            .find(|candidate| candidate["name"] == package)
            .with_context(|| format!("no package {package:?} in this workspace"))?;
        let library = found["targets"]
            .as_array()
            .into_iter()
            .flatten()
            .find(|target| {
                target["kind"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "lib"))
            })
            .and_then(|target| path(&target["src_path"]))
            .with_context(|| format!("{package} has no library"))?;
        let manifest = path(&found["manifest_path"]).context("a package has a manifest")?;
        let folder = manifest.parent().context("a manifest is in a folder")?;
        let home = target.join("mutants");
        Ok(Tree {
            copy: home.join("tree"),
            package: package.to_owned(),
            folder: folder.strip_prefix(&root)?.to_owned(),
            library: library.strip_prefix(&root)?.to_owned(),
            home,
            root,
        })
    }

    /// The target folder of the copy.
    pub(crate) fn target(&self) -> PathBuf {
        self.home.join("target")
    }

    /// Brings the copy to where the workspace is, but for what the mutants change. `optimise`: the package is built with
    /// the compiler's first level.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(crate) fn copy(&self, optimise: bool) -> anyhow::Result<()> {
        let files = self.files()?;
        let instrumented: BTreeSet<PathBuf> = self.sources()?.into_iter().collect();
        for file in &files {
            let from = self.root.join(file);
            // Listed and deleted, or a link to a folder.
            let Ok(mut bytes) = fs::read(&from) else { continue };
            if file.ends_with("Cargo.toml") {
                let mut manifest = without_lints(&String::from_utf8(bytes)?);
                if optimise && file == Path::new("Cargo.toml") {
                    let package = &self.package;
                    manifest.push_str(&format!("\n[profile.dev.package.{package}]\nopt-level = 1\n"));
                }
                bytes = manifest.into_bytes();
            } else if instrumented.contains(file) {
                continue;
            } else if file.starts_with(&self.folder) && file.extension().is_some_and(|kind| kind == "rs") {
                bytes = fewer_cases(&String::from_utf8(bytes)?).into_bytes();
            }
            write(&self.copy.join(file), &bytes)?;
        }
        let mut strange = Vec::new();
        walk(&self.copy, &mut |path| {
            if !path
                .strip_prefix(&self.copy)
                .is_ok_and(|path| files.contains(path) || path.ends_with("Cargo.lock"))
            {
                strange.push(path.to_owned());
            }
        })?;
        strange.iter().try_for_each(fs::remove_file)?;
        Ok(())
    }

    /// Writes the mutants into the copy. Gives all of them, switched or not, in the order of the files.
    ///
    /// # Parameters
    /// `under`: only files whose path from the root begins with this are changed. `unviable`: keys of mutants that get
    /// no switch.
    ///
    /// # Errors
    /// A source does not parse, or cannot be read or written.
    pub(crate) fn instrument(&self, under: &Path, unviable: &HashSet<String>) -> anyhow::Result<Vec<Mutant>> {
        let mut instrumenter = Instrumenter::new(unviable);
        for file in self.sources()? {
            let text = fs::read_to_string(self.root.join(&file))?;
            let mut text = match file.starts_with(under) {
                true => {
                    let mut parsed = syn::parse_file(&text).with_context(|| file.display().to_string())?;
                    instrumenter.file(&file.to_string_lossy(), &mut parsed);
                    // Tests that stand beside the code are in here too.
                    fewer_cases(
                        &parsed.into_token_stream().to_string().replace("with_cases (", "with_cases("),
                    )
                }
                false => fewer_cases(&text),
            };
            if file == self.library {
                // Of the lints that are errors by themselves, those that a mutant runs into.
                let quiet = "warnings, arithmetic_overflow, unconditional_panic, overflowing_literals";
                let quiet = format!(r#"#![allow({quiet}, reason = "a mutant need not be good code")]"#);
                text = format!("{quiet}\n{text}\n{RUNTIME}");
            }
            write(&self.copy.join(&file), text.as_bytes())?;
        }
        Ok(instrumenter.mutants)
    }

    /// A number that is another one when a file's text is.
    pub(crate) fn prints(&self) -> anyhow::Result<BTreeMap<String, String>> {
        let print = |file: PathBuf| {
            let text = fs::read(self.root.join(&file))?;
            // FNV-1a: a change is to be noticed, nobody is to be kept out.
            let print = text.iter().fold(0xcbf2_9ce4_8422_2325_u64, |print, byte| {
                (print ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
            });
            Ok((file.to_string_lossy().into_owned(), format!("{print:016x}")))
        };
        self.sources()?.into_iter().map(print).collect()
    }

    /// The sources of the library that are compiled without `cfg(test)`, from the root, by following its modules.
    fn sources(&self) -> anyhow::Result<Vec<PathBuf>> {
        let mut found = Vec::new();
        let folder = self.library.parent().context("a file is in a folder")?;
        self.modules(&self.library, folder, &mut found)?;
        found.sort();
        Ok(found)
    }

    /// Adds a file and the modules that it declares, whose files are looked for in `folder`.
    fn modules(&self, file: &Path, folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
        let text = fs::read_to_string(self.root.join(file)).with_context(|| file.display().to_string())?;
        let parsed = syn::parse_file(&text).with_context(|| file.display().to_string())?;
        found.push(file.to_owned());
        self.declared(&parsed.items, folder, found)
    }

    fn declared(&self, items: &[syn::Item], folder: &Path, found: &mut Vec<PathBuf>) -> anyhow::Result<()> {
        for item in items {
            let syn::Item::Mod(module) = item else { continue };
            if is_of_tests(&module.attrs) {
                continue;
            }
            let name = module.ident.to_string();
            let inner = folder.join(&name);
            match &module.content {
                Some((_, items)) => self.declared(items, &inner, found)?,
                None => {
                    let beside = folder.join(format!("{name}.rs"));
                    let file = if self.root.join(&beside).exists() { beside } else { inner.join("mod.rs") };
                    self.modules(&file, &inner, found)?;
                }
            }
        }
        Ok(())
    }

    /// The files of the workspace, from its root: those that git knows or would take up; where it knows none, all.
    fn files(&self) -> anyhow::Result<BTreeSet<PathBuf>> {
        let mut git = Command::new("git");
        git.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(&self.root);
        let listed = output(&mut git).unwrap_or_default();
        let mut files: BTreeSet<PathBuf> = String::from_utf8(listed)?
            .split('\0')
            .filter(|name| !name.is_empty())
            .map(PathBuf::from)
            .collect();
        if files.is_empty() {
            walk(&self.root, &mut |path| {
                files.extend(path.strip_prefix(&self.root).ok().map(Path::to_owned));
            })?;
            files.retain(|file| !file.starts_with("target"));
        }
        Ok(files)
    }
}

/// Cargo, without what the cargo that runs us said about our own package: build scripts would be run again for it.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    for name in ["PKG_AUTHORS", "PKG_DESCRIPTION", "PKG_NAME", "PKG_VERSION", "MANIFEST_DIR", "MANIFEST_PATH"]
    {
        cargo.env_remove(format!("CARGO_{name}"));
    }
    for part in ["MAJOR", "MINOR", "PATCH", "PRE"] {
        cargo.env_remove(format!("CARGO_PKG_VERSION_{part}"));
    }
    cargo
}

/// What a program says, if it ends well.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command.output().with_context(|| format!("{name} does not start"))?;
    if !output.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim_end());
    }
    Ok(output.stdout)
}

/// A manifest that asks for no lints: mutants are no models of style.
fn without_lints(manifest: &str) -> String {
    manifest.replace("[lints]\nworkspace = true\n", "")
}

/// Property tests with an eighth of the cases that they ask for, but where [`FULL`] is set.
fn fewer_cases(text: &str) -> String {
    let mut parts = text.split("with_cases(");
    let mut written = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let number: String =
            part.trim_start().chars().take_while(|c| c.is_ascii_digit() || *c == '_').collect();
        let cases = number.replace('_', "").parse::<u32>().ok();
        written.push_str("with_cases(");
        match cases {
            Some(cases) => {
                let few = (cases / 8).max(1);
                let ask = format!("if std::env::var_os({FULL:?}).is_some() {{ {cases} }} else {{ {few} }}");
                written.push_str(&ask);
                written.push_str(&part.trim_start()[number.len()..]);
            }
            None => written.push_str(part),
        }
    }
    written
}

/// Writes a file if it would change, so that nothing is built for nothing.
fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    if fs::read(path).is_ok_and(|written| written == bytes) {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, bytes).with_context(|| path.display().to_string())
}

/// Shows every file below a folder.
fn walk(folder: &Path, see: &mut impl FnMut(&Path)) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => walk(&entry.path(), see)?,
            false => see(&entry.path()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn property_tests_ask_for_fewer_cases() {
        let text = fewer_cases("a with_cases(1_000)) b with_cases(count) with_cases(4)");
        assert_eq!(
            text,
            "a with_cases(if std::env::var_os(\"MUTANT_FULL\").is_some() { 1000 } else { 125 })) b with_cases(count) \
             with_cases(if std::env::var_os(\"MUTANT_FULL\").is_some() { 4 } else { 1 })"
        );
    }

    #[test]
    fn manifests_ask_for_no_lints() {
        assert_eq!(without_lints("a\n[lints]\nworkspace = true\n\n[b]\n"), "a\n\n[b]\n");
    }
}
