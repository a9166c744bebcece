//! Reads the requirements in `docs/requirements/`: number, rule, scenario and tests of each.

use crate::{files, has_extension, read};

/// One requirement, as its page states it.
#[derive(Debug)]
pub struct Requirement {
    /// Letter and digits, `H10`.
    pub number: String,
    /// The heading without the number.
    pub title: String,
    /// Name of the page, without folder and extension.
    pub page: String,
    /// The text before the scenario.
    pub rule: String,
    /// The paragraphs from `Scenario:` on.
    pub scenario: String,
    /// The functions listed below `Tests:`.
    pub tests: Vec<String>,
}

/// Returns all requirements, by page and in the order of the page.
///
/// # Panics
/// If a page cannot be read, or two sections have one number.
pub fn requirements() -> Vec<Requirement> {
    let mut pages = files(&["docs/requirements"]);
    pages.retain(|path| has_extension(path, "md"));
    pages.sort();
    let mut found: Vec<Requirement> = Vec::new();
    for path in pages {
        let page = path.trim_start_matches("docs/requirements/").trim_end_matches(".md");
        let text = read(&path);
        for section in text.split("\n## ").skip(1) {
            let requirement = parse(page, section);
            let number = &requirement.number;
            assert!(!found.iter().any(|other| other.number == *number), "{number} has two sections");
            found.push(requirement);
        }
    }
    found
}

fn parse(page: &str, section: &str) -> Requirement {
    let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
    let (number, title) = heading.split_once(' ').unwrap_or((heading, ""));
    let (text, tests) = body.split_once("\nTests:\n").unwrap_or((body, ""));
    let (rule, scenario) = text.split_once("\nScenario:").unwrap_or((text, ""));
    let name = |line: &str| Some(line.trim().strip_prefix("- `")?.strip_suffix('`')?.to_owned());
    Requirement {
        number: number.to_owned(),
        title: title.to_owned(),
        page: page.to_owned(),
        rule: rule.trim().to_owned(),
        scenario: scenario.trim().to_owned(),
        tests: tests.lines().filter_map(name).collect(),
    }
}

/// Returns the numbers that a test's name begins with: `h10_h14_a_new_leader` names `H10` and `H14`.
pub fn numbers_of_a_test(name: &str) -> Vec<String> {
    let is_number = |part: &&str| {
        let (letter, digits) = part.split_at(part.len().min(1));
        letter.chars().all(|c| c.is_ascii_lowercase())
            && (1..=2).contains(&digits.len())
            && digits.chars().all(|c| c.is_ascii_digit())
    };
    name.split('_').take_while(is_number).map(str::to_uppercase).collect()
}
