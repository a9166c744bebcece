//! Writes the manual pages of a program from its own help, so that a page never differs from it, and
//! no program carries code that only a release needs.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use crate::shell::output_of;

/// Writes one page for the program and one for each of its commands into `folder`.
pub(super) fn write(program: &Path, folder: &Path, version: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    let name = program.file_name().context("a program has a name")?.to_string_lossy();
    write_page(program, &name, &[], folder, version)
}

fn write_page(program: &Path, name: &str, words: &[String], folder: &Path, version: &str) -> Result<()> {
    // The help shows the values of variables of the environment: a page must not.
    let help = output_of(Command::new(program).args(words).arg("--help").env_clear())?;
    let title = [&[name.to_owned()], words].concat().join("-");
    let commands = commands_of(&help);
    fs::write(folder.join(format!("{title}.1")), page(&title, &help, &commands, version))?;
    for command in commands {
        write_page(program, name, &[words, &[command]].concat(), folder, version)?;
    }
    Ok(())
}

/// Returns the names of the commands that a help lists.
fn commands_of(help: &str) -> Vec<String> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = lines.take_while(|line| !line.is_empty());
    // Deeper lines continue the description of a command.
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Returns a help as a manual page.
fn page(title: &str, help: &str, commands: &[String], version: &str) -> String {
    let (about, rest) = help.split_once("\nUsage: ").unwrap_or((help, ""));
    let (usage, rest) = rest.split_once('\n').unwrap_or((rest, ""));
    let (summary, more) = about.trim().split_once('\n').unwrap_or((about.trim(), ""));
    let mut text = format!(".TH \"{title}\" 1 \"\" \"usher {version}\" \"Usher\"\n");
    text += &format!(".SH NAME\n{} \\- {}\n", escape(title), escape(summary));
    text += &format!(".SH SYNOPSIS\n{}\n", escape(usage));
    if !more.trim().is_empty() {
        text += ".SH DESCRIPTION\n";
        text.extend(more.trim().lines().map(|line| paragraph(line.trim(), line.trim().is_empty())));
    }
    let (mut is_list, mut is_after_blank) = (false, false);
    for line in rest.lines() {
        let (indent, trimmed) = (line.len() - line.trim_start().len(), line.trim());
        if let Some(section) = line.strip_suffix(':').filter(|_| indent == 0) {
            is_list = ["Commands", "Options", "Arguments"].contains(&section);
            text += &format!(".SH {}\n", section.to_uppercase());
        } else if is_list && indent <= 6 && !trimmed.is_empty() {
            let (term, description) = trimmed.split_once("  ").unwrap_or((trimmed, ""));
            text += &format!(".TP\n\\fB{}\\fR\n", escape(term));
            if !description.is_empty() {
                text += &format!("{}\n", escape(description.trim()));
            }
        } else if is_list && !trimmed.is_empty() {
            text += &paragraph(trimmed, is_after_blank);
        } else if !trimmed.is_empty() {
            text += &format!("{}\n.br\n", escape(trimmed));
        }
        is_after_blank = trimmed.is_empty();
    }
    if !commands.is_empty() {
        let pages = commands.iter().map(|command| format!("{}(1)", escape(&format!("{title}-{command}"))));
        text += &format!(".SH SEE ALSO\n{}\n", pages.collect::<Vec<_>>().join(", "));
    }
    text
}

/// Returns a line of running text, which begins a paragraph if a blank line is before it. A list or
/// a remark in brackets keeps its own line.
fn paragraph(line: &str, is_after_blank: bool) -> String {
    let space = if is_after_blank { ".sp\n" } else { "" };
    let own_line = if line.starts_with("- ") || line.starts_with('[') { ".br\n" } else { "" };
    format!("{space}{own_line}{}\n", escape(line))
}

/// Returns a line with the characters escaped that mean something else to the formatter.
fn escape(line: &str) -> String {
    let mut escaped = String::with_capacity(line.len());
    for letter in line.chars() {
        match letter {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            // A formatter may take the file for another encoding than UTF-8.
            other if !other.is_ascii() => escaped += &format!("\\[u{:04X}]", u32::from(other)),
            other => escaped.push(other),
        }
    }
    if escaped.starts_with(['.', '\'']) { format!("\\&{escaped}") } else { escaped }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "\
Add a server

Usage: usher servers [OPTIONS] <COMMAND>

Commands:
  add     Add one
  remove  Remove one, with a long
          description

Options:
      --token <TOKEN>
          Token of the control plane

          [env: USHER_TOKEN]

  -h, --help  Print help

Exit codes:
  0  done
";

    #[test]
    fn commands_are_read_from_a_help() {
        assert_eq!(commands_of(HELP), ["add", "remove"]);
        assert_eq!(commands_of("About\n\nUsage: x\n\nOptions:\n  -h, --help  Print help\n"), [""; 0]);
    }

    #[test]
    fn a_help_becomes_a_page() {
        let page = page("usher-servers", HELP, &commands_of(HELP), "1.2.3");
        for part in [
            ".TH \"usher-servers\" 1 \"\" \"usher 1.2.3\" \"Usher\"\n.SH NAME\nusher\\-servers \\- Add a server\n",
            ".SH SYNOPSIS\nusher servers [OPTIONS] <COMMAND>\n",
            ".SH COMMANDS\n.TP\n\\fBadd\\fR\nAdd one\n.TP\n\\fBremove\\fR\nRemove one, with a long\ndescription\n",
            ".TP\n\\fB\\-\\-token <TOKEN>\\fR\nToken of the control plane\n.sp\n.br\n[env: USHER_TOKEN]\n",
            ".TP\n\\fB\\-h, \\-\\-help\\fR\nPrint help\n",
            ".SH EXIT CODES\n0  done\n.br\n",
            ".SH SEE ALSO\nusher\\-servers\\-add(1), usher\\-servers\\-remove(1)\n",
        ] {
            assert!(page.contains(part), "no {part:?} in {page}");
        }
    }

    #[test]
    fn a_line_cannot_command_the_formatter() {
        assert_eq!(escape(".so /etc/passwd"), "\\&.so /etc/passwd");
        assert_eq!(escape("a\\fB-b …"), "a\\efB\\-b \\[u2026]");
    }
}
