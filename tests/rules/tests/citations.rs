//! Every number that is cited leads somewhere: `H10`, `design 7`, `wire-contract 1.5`, `style P9`,
//! `ADR 18`, `section 4`, and every link between documents.

use std::collections::BTreeSet;

use usher_rules::{
    citations::{Citation, citations, numbered_headings, prose},
    files, has_extension, read,
    requirements::{numbers_of_a_test, requirements},
    root, sources,
};

/// Extensions of files that have prose; scripts without one are taken too.
const WITH_PROSE: &[&str] = &["rs", "proto", "md", "toml", "yaml", "yml", "sh", "py", ""];

/// The numbers that can be cited.
struct Rules {
    requirements: BTreeSet<String>,
    design: Vec<String>,
    wire_contract: Vec<String>,
    style: BTreeSet<String>,
    decisions: BTreeSet<String>,
}

impl Rules {
    fn read() -> Self {
        let style = read("docs/style.md");
        let principles = style.split("**P").skip(1).filter_map(|rest| rest.split(' ').next());
        let decisions = files(&["docs/adr"]);
        let decisions = decisions.iter().filter_map(|path| path.rsplit('/').next()?.split_once('-'));
        Self {
            requirements: requirements().into_iter().map(|requirement| requirement.number).collect(),
            design: numbered_headings(&read("docs/design.md")),
            wire_contract: numbered_headings(&read("docs/wire-contract.md")),
            style: principles.map(|number| format!("P{number}")).collect(),
            decisions: decisions.map(|(number, _)| number.trim_start_matches('0').to_owned()).collect(),
        }
    }

    /// Returns why a citation leads nowhere; none if it leads somewhere. `own` are the numbered sections
    /// of the document that has it.
    fn fault(&self, citation: &Citation, own: &[String]) -> Option<String> {
        let (place, text, is_there) = match citation {
            Citation::Requirement(number) => {
                ("docs/requirements.md", number, self.requirements.contains(number))
            }
            Citation::Design(number) => ("docs/design.md", number, self.design.contains(number)),
            Citation::WireContract(number) => {
                ("docs/wire-contract.md", number, self.wire_contract.contains(number))
            }
            Citation::Style(number) => ("docs/style.md", number, self.style.contains(number)),
            Citation::Decision(number) => ("docs/adr", number, self.decisions.contains(number)),
            Citation::Section(number) if own.is_empty() => {
                return Some(format!("section {number} of which document? `design {number}` is a citation"));
            }
            Citation::Section(number) => ("this document", number, own.contains(number)),
            Citation::Former(number) => {
                return Some(format!("cite the BBB contract as `wire-contract {number}`"));
            }
        };
        (!is_there).then(|| format!("{text} is not in {place}"))
    }

    fn faults(&self, path: &str, text: &str) -> Vec<String> {
        let extension = path.rsplit('/').next().and_then(|name| name.rsplit_once('.'));
        let extension = extension.map_or("", |(_, extension)| extension);
        let own = if extension == "md" { numbered_headings(text) } else { Vec::new() };
        let found = citations(&prose(text, extension));
        let faults = found.iter().filter_map(|(line, citation)| Some((line, self.fault(citation, &own)?)));
        faults.map(|(line, fault)| format!("{path}:{line}: {fault}")).collect()
    }
}

#[test]
fn every_number_that_is_cited_leads_to_a_rule() {
    let rules = Rules::read();
    let (mut faults, mut seen) = (Vec::new(), 0);
    for path in files(&["."]) {
        let name = path.rsplit('/').next().unwrap_or_default();
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        if !WITH_PROSE.contains(&extension) {
            continue;
        }
        let Ok(text) = std::fs::read_to_string(root().join(&path)) else { continue };
        seen += citations(&prose(&text, extension)).len();
        faults.extend(rules.faults(&path, &text));
    }
    assert!(seen > 300, "only {seen} citations: has the form of comments changed?");
    assert!(faults.is_empty(), "citations that lead nowhere:\n{}", faults.join("\n"));
}

#[test]
fn every_number_in_the_name_of_a_test_leads_to_a_requirement() {
    let known: BTreeSet<String> = requirements().into_iter().map(|requirement| requirement.number).collect();
    let letters: BTreeSet<char> = known.iter().filter_map(|number| number.chars().next()).collect();
    let mut faults = Vec::new();
    for source in sources(&["."]) {
        for after in source.text().split("fn ").skip(1) {
            let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let numbers = numbers_of_a_test(&name).into_iter();
            let numbers = numbers.filter(|number| number.starts_with(|letter| letters.contains(&letter)));
            let lost = numbers.filter(|number| !known.contains(number));
            faults.extend(lost.map(|number| format!("{}: `{name}`: no requirement {number}", source.path)));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Returns the targets of a document's links to other files of the repository.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text, "md").replace('\n', " ");
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let targets = targets.map(|target| target.split('#').next().unwrap_or_default());
    targets.filter(|target| !target.is_empty() && !target.contains(':')).map(str::to_owned).collect()
}

#[test]
fn every_link_between_documents_leads_to_a_file() {
    let mut lost = Vec::new();
    for path in files(&["."]).into_iter().filter(|path| has_extension(path, "md")) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for target in links(&read(&path)) {
            if !root().join(folder).join(&target).exists() {
                lost.push(format!("{path}: {target}"));
            }
        }
    }
    assert!(lost.is_empty(), "links that lead nowhere:\n{}", lost.join("\n"));
}

/// A made-up number has to be noticed, in each form and each kind of file.
#[test]
fn a_number_that_does_not_exist_is_a_fault() {
    let rules = Rules::read();
    for (path, text) in [
        ("a.rs", "/// Waits (H99)."),
        ("a.rs", "let a = 1; // as F1 and F77 have it"),
        ("a.rs", "//! Stored as design 3 and\n//! design 99 have it."),
        ("a.rs", "// the chart of requirements A5, A44-2"),
        ("a.rs", "// between I1–I99"),
        ("a.proto", "  // wire-contract 4.99"),
        ("a.md", "As style P99 says."),
        ("a.md", "See [ADR\n99](adr/0099-lost.md)."),
        ("a.md", "## 1. One\n\nSee section 2."),
        ("a.md", "## 1. One\n\nSee §2."),
        ("a.rs", "// section 4 has it"),
        ("a.yaml", "key: value # see X99"),
        ("run", "# bbb-api.md 1.5"),
        ("a.rs", "// (BBB API, section 6)"),
    ] {
        assert_eq!(rules.faults(path, text).len(), 1, "{path}: {text}: {:?}", rules.faults(path, text));
    }
}

/// Letters and digits that are data are no citations.
#[test]
fn data_and_rules_that_exist_are_no_faults() {
    let rules = Rules::read();
    for (path, text) in [
        (
            "a.rs",
            "/// Waits (H1, H10–H12; requirements A5, A7-4); design 3, wire-contract 1.5, style P9, ADR 18.",
        ),
        ("a.rs", "let query = \"name=J%C3%BCrgen\"; // in UTF-8"),
        ("a.rs", "let url = \"http://B1:80/ // H99\";"),
        ("a.rs", "/// The text `%E6%9D%B1` and the name `H99`."),
        ("a.rs", "/// %E6%9D%B1, x86, K8s, p99, SHA1, A1b"),
        ("a.rs", "/// RFC 7519, section 4"),
        ("a.md", "```text\nH99\n```\n"),
        ("a.toml", "colour = \"#F00\" # red"),
    ] {
        assert_eq!(rules.faults(path, text), [""; 0], "{path}: {text}");
    }
}
