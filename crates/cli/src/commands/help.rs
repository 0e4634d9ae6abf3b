//! `ironlearn help`.

use crate::args::{Arguments, HelpOptions};
use crate::console::Console;
use clap::CommandFactory;
use ironlearn::Error;
use ironlearn::job::nearest;

/// The topic that is no command.
const JOB: &str = "job";

pub fn run(options: &HelpOptions, console: &Console) -> Result<u8, Error> {
    let mut command = Arguments::command();
    let text = match options.topic.as_deref() {
        None => command.render_long_help().to_string(),
        Some(JOB) => ironlearn::job::help(),
        Some(topic) => {
            command.build();
            match command.find_subcommand_mut(topic) {
                Some(command) => command.render_long_help().to_string(),
                None => return Err(unknown(topic, &command)),
            }
        }
    };
    console.say(text.trim_end());
    Ok(0)
}

fn unknown(topic: &str, command: &clap::Command) -> Error {
    let topics: Vec<&str> =
        command.get_subcommands().map(|command| command.get_name()).chain([JOB]).collect();
    let hint = match nearest(topic, topics.iter().copied()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("topics are {}", topics.join(", ")),
    };
    Error::usage(format!("there is no help on {topic:?}"), hint)
}
