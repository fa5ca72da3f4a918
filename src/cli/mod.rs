//! The command line: the only layer that reads arguments, environment and clock, and the only one that prints.
//!
//! Standard output carries results and nothing else; progress, warnings and errors go to standard error. Exit
//! codes: 0 yes; 1 the answer is no; 2 it could not be done; 130 interrupted.

mod arguments;
mod build;
mod ca;
mod check;
mod core_file;
mod diagnostics;
mod diff;
mod environment;
mod failures;
mod global;
mod hints;
mod init;
mod inspect;
mod interrupt;
mod iso;
mod lock;
mod mirror;
mod pack;
mod progress;
mod push;
mod schema;
mod serve;
mod session;
mod table;
mod ui;
mod verify;

use std::process::ExitCode;

use arguments::{Arguments, Command};
use session::Session;

/// What a command found out, when it could find out something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Yes,
    No,
}

impl Answer {
    fn of(is_yes: bool) -> Self {
        if is_yes { Self::Yes } else { Self::No }
    }
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    core_file::forbid();
    let arguments = Arguments::of_process();
    let Arguments { global, command } = arguments;
    let style = diagnostics::Style::new(global.color);
    let session = Session::new(global);
    let answer = interrupt::listen().and_then(|()| run(command, &session));
    interrupt::wait_if_stopping();
    match answer {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) => {
            diagnostics::print(&error, style, session.console.echo());
            ExitCode::from(diagnostics::exit_code(&error))
        }
    }
}

fn run(command: Command, session: &Session) -> anyhow::Result<Answer> {
    let (name, answer) = match command {
        Command::Init(arguments) => ("init", init::run(arguments, session)),
        Command::Lock(arguments) => ("lock", lock::run(arguments, session)),
        Command::Mirror(arguments) => ("mirror", mirror::run(arguments, session)),
        Command::Ca(arguments) => ("ca", ca::run(arguments, session)),
        Command::Pack(arguments) => ("pack", pack::run(arguments, session)),
        Command::Iso(arguments) => ("iso", iso::run(arguments, session)),
        Command::Build(arguments) => ("build", build::run(arguments, session)),
        Command::Check(arguments) => ("check", check::run(arguments, session)),
        Command::Verify(arguments) => ("verify", verify::run(arguments, session)),
        Command::Inspect(arguments) => ("inspect", inspect::run(arguments, session)),
        Command::Diff(arguments) => ("diff", diff::run(arguments, session)),
        Command::Push(arguments) => ("push", push::run(arguments, session)),
        Command::Serve(arguments) => ("serve", serve::run(arguments, session)),
        Command::Schema(arguments) => ("schema", schema::run(arguments)),
        Command::Completions(arguments) => {
            ("completions", schema::completions(arguments, arguments::command()))
        }
        Command::Man(arguments) => ("man", schema::man(arguments, arguments::command())),
    };
    failures::print(answer, name, session)
}
