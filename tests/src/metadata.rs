//! What cargo says about the workspace: members, dependencies, features.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// One package, ours or foreign.
#[derive(Debug, Clone)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Whether it is a member of the workspace.
    pub ours: bool,
    /// The features that are on when the whole workspace is built.
    pub features: BTreeSet<String>,
    /// Ids of the packages that its library and programs need, those of its tests and build script left out.
    normal: BTreeSet<String>,
}

/// The packages of the lock file that this platform needs, by cargo's ids.
#[derive(Debug)]
pub struct Metadata {
    packages: BTreeMap<String, Package>,
}

impl Metadata {
    /// Asks cargo, offline and with the lock file as it is.
    ///
    /// # Panics
    /// When cargo fails or answers something else.
    #[must_use]
    pub fn read() -> Self {
        let host = host();
        let arguments =
            ["metadata", "--format-version=1", "--offline", "--locked", "--filter-platform", &host];
        let json: Value = serde_json::from_slice(&cargo(&arguments)).expect("cargo prints JSON");
        let members: BTreeSet<&str> = list(&json["workspace_members"]).map(text).collect();
        let names: BTreeMap<&str, &str> =
            list(&json["packages"]).map(|package| (text(&package["id"]), text(&package["name"]))).collect();
        let packages = list(&json["resolve"]["nodes"]).map(|node| {
            let id = text(&node["id"]);
            let package = Package {
                name: names[id].to_owned(),
                ours: members.contains(id),
                features: list(&node["features"]).map(|feature| text(feature).to_owned()).collect(),
                normal: list(&node["deps"])
                    .filter(|dep| is_normal(dep))
                    .map(|dep| text(&dep["pkg"]).to_owned())
                    .collect(),
            };
            (id.to_owned(), package)
        });
        Self { packages: packages.collect() }
    }

    /// Every package.
    pub fn packages(&self) -> impl Iterator<Item = &Package> {
        self.packages.values()
    }

    /// The names of what a member of the workspace depends on itself, its tests left out.
    ///
    /// # Panics
    /// When there is no such member.
    #[must_use]
    pub fn direct(&self, member: &str) -> BTreeSet<&str> {
        self.packages[self.id(member)].normal.iter().map(|id| self.packages[id].name.as_str()).collect()
    }

    /// The names of everything that is in a member's tree, its tests left out.
    ///
    /// # Panics
    /// When there is no such member.
    #[must_use]
    pub fn tree(&self, member: &str) -> BTreeSet<&str> {
        let mut seen = BTreeSet::from([self.id(member)]);
        let mut open = vec![self.id(member)];
        while let Some(id) = open.pop() {
            open.extend(self.packages[id].normal.iter().map(String::as_str).filter(|id| seen.insert(id)));
        }
        seen.into_iter().map(|id| self.packages[id].name.as_str()).collect()
    }

    fn id(&self, member: &str) -> &str {
        let found = self.packages.iter().find(|(_, package)| package.ours && package.name == member);
        found.unwrap_or_else(|| panic!("no member {member}")).0
    }
}

fn is_normal(dependency: &Value) -> bool {
    list(&dependency["dep_kinds"]).any(|kind| kind["kind"].is_null())
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().expect("a list").iter()
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a text")
}

/// The platform this was built for, such as `x86_64-unknown-linux-gnu`.
fn host() -> String {
    let output = Command::new("rustc").arg("-vV").output().expect("rustc runs");
    let text = String::from_utf8(output.stdout).expect("rustc prints UTF-8");
    text.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host").to_owned()
}

fn cargo(arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(crate::repository::root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}
