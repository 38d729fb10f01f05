//! The man pages are what the programs say of themselves. `CLAVIGER_REGENERATE=1` writes them anew instead.

use std::collections::BTreeMap;
use std::fs;

use clap::{Command, CommandFactory as _};
use clap_mangen::Man;
use claviger_tests::repository::root;

/// Every page by its file's name: one for each program, and one for each of its commands, as git and systemd do it.
fn pages() -> BTreeMap<String, String> {
    let programs = [
        claviger_vault::cli::args::Cli::command(),
        claviger_agent::cli::Cli::command(),
        claviger_agent::cli::shim::Words::command(),
        claviger_mcp::settings::Settings::command(),
        claviger_mcp::wrap::cage::command::CageCommand::command().name("claviger-mcp-cage"),
    ];
    let mut pages = BTreeMap::new();
    for mut program in programs {
        // Gives every command its whole name, such as `claviger-grant-add`.
        program.build();
        add(&mut pages, &program);
    }
    pages
}

fn add(pages: &mut BTreeMap<String, String>, command: &Command) {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help")
    {
        add(pages, below);
    }
    // The date of a build says nothing about a program, and would change the page each day.
    let man = Man::new(command.clone()).date("");
    let mut page = Vec::new();
    man.render(&mut page).unwrap();
    pages.insert(man.get_filename(), String::from_utf8(page).unwrap());
}

#[test]
fn the_man_pages_say_what_the_programs_take() {
    let folder = root().join("docs/man");
    let expected = pages();
    assert!(expected.len() > 40 && expected.contains_key("claviger-grant-add.1"), "{:?}", expected.keys());
    if std::env::var_os("CLAVIGER_REGENERATE").is_some() {
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        for (name, page) in &expected {
            fs::write(folder.join(name), page).unwrap();
        }
        return;
    }
    let there: BTreeMap<String, String> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    let names: Vec<_> = there.keys().collect();
    assert_eq!(names, expected.keys().collect::<Vec<_>>(), "run it once with CLAVIGER_REGENERATE=1");
    for (name, page) in expected {
        assert!(
            there[&name] == page,
            "docs/man/{name} is old: run this test once with CLAVIGER_REGENERATE=1"
        );
    }
}

#[test]
fn every_option_that_can_be_typed_is_explained() {
    let mut mute = Vec::new();
    let programs = [
        claviger_vault::cli::args::Cli::command(),
        claviger_agent::cli::Cli::command(),
        claviger_agent::cli::shim::Words::command(),
        claviger_mcp::settings::Settings::command(),
    ];
    for program in programs {
        let name = program.get_name().to_owned();
        unexplained(&program, &name, &mut mute);
    }
    assert!(mute.is_empty(), "{mute:#?}");
}

fn unexplained(command: &Command, name: &str, mute: &mut Vec<String>) {
    if command.get_about().is_none() {
        mute.push(name.to_owned());
    }
    let options = command.get_arguments().filter(|argument| !argument.is_hide_set());
    mute.extend(
        options
            .filter(|argument| argument.get_help().is_none())
            .map(|argument| format!("{name} {}", argument.get_id())),
    );
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        unexplained(below, &format!("{name} {}", below.get_name()), mute);
    }
}
