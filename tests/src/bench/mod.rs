//! Floor and measured thing in alternating blocks, so that what else the machine does hits both.

mod disk;
mod echo;
mod instructions;
mod load;
mod machine;
mod options;
mod program;
mod report;
mod run;
mod stats;
mod upstream;
mod vault;

use anyhow::Context as _;

use self::options::Part;

/// Plays the part that the arguments name.
///
/// # Errors
/// Whatever kept it from measuring. No figure is an error.
pub(crate) fn main(arguments: Vec<String>) -> anyhow::Result<()> {
    let part = options::parse(arguments)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("no runtime")?;
    match part {
        Part::Echo { socket } => runtime.block_on(echo::serve(&socket)),
        Part::Upstream { http1 } => runtime.block_on(upstream::serve(http1)),
        Part::Measure(options) => runtime.block_on(run::run(options)),
        Part::Instructions(count) => runtime.block_on(instructions::run(count)),
        Part::Help => {
            println!("{}", options::USAGE);
            Ok(())
        }
    }
}
