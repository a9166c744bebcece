//! The commands, metrics, requirements and words in the documents agree with the code.

use std::collections::BTreeSet;

use usher_rules::{
    files, has_extension, read,
    requirements::{numbers_of_a_test, requirements},
    sources,
};

const PRODUCT: &[&str] = &["cli/src", "common", "control-plane/src", "edge-proxy/src", "recordings/src"];

/// Returns the lines of code blocks in every document that are commands, without comment.
fn commands() -> Vec<(String, String)> {
    let mut found = Vec::new();
    for path in files(&["."]).into_iter().filter(|path| has_extension(path, "md")) {
        for block in read(&path).split("```").skip(1).step_by(2) {
            let Some(lines) = block.strip_prefix("sh\n") else { continue };
            let lines = lines.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
            found.extend(lines.filter(|line| !line.is_empty()).map(|line| (path.clone(), line.to_owned())));
        }
    }
    found
}

#[test]
fn xtask_commands_in_documents_exist() {
    let usage = read("xtask/src/main.rs");
    let mut seen = 0;
    for (path, line) in commands() {
        let Some(rest) = line.strip_prefix("cargo xtask ") else { continue };
        let command = rest.split(' ').next().unwrap_or_default();
        assert!(usage.contains(&format!("\"{command}\" =>")), "{path}: `{line}`");
        seen += 1;
    }
    assert!(seen >= 2, "the README has two commands");
}

/// Returns `list-foo` for `ListFoo`, as clap names a variant.
fn kebab(variant: &str) -> String {
    variant.chars().enumerate().fold(String::new(), |mut name, (at, letter)| {
        if letter.is_uppercase() && at > 0 {
            name.push('-');
        }
        name.extend(letter.to_lowercase());
        name
    })
}

/// Returns the words that `usher` and its nouns take: the variants of clap's enums.
fn known_words() -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for source in sources(&["cli/src"]).iter().filter(|source| source.path.contains("/args")) {
        for line in source.text().lines() {
            let variant: String = line.trim().chars().take_while(char::is_ascii_alphanumeric).collect();
            if variant.starts_with(|letter: char| letter.is_ascii_uppercase()) {
                words.insert(kebab(&variant));
            }
        }
    }
    words
}

#[test]
fn usher_commands_in_documents_exist() {
    let known = known_words();
    let nouns = ["servers", "meetings", "zombies", "edges", "tenants", "deliveries", "migrate", "hooks"];
    let mut seen = 0;
    for (path, line) in commands() {
        let words: Vec<&str> = line.split(' ').collect();
        let Some(at) = words.iter().position(|word| *word == "usher" || word.ends_with("/usher")) else {
            continue;
        };
        let Some(command) = words.get(at + 1).filter(|word| !word.starts_with('-')) else { continue };
        assert!(known.contains(*command), "{path}: `{line}`");
        if nouns.contains(command) {
            let verb = words.get(at + 2).copied().unwrap_or_default();
            assert!(known.contains(verb), "{path}: `{line}`");
        }
        seen += 1;
    }
    assert!(seen >= 3, "the documents show how usher is used");
}

/// Returns the names registered with the metrics registry.
fn registered() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources(PRODUCT) {
        for (_, line) in source.product_lines() {
            let quoted = line.split('"').skip(1).step_by(2);
            let metric = |text: &&str| {
                text.starts_with("usher_")
                    && text.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
            };
            let crates = ["usher_edge_proxy", "usher_control_plane", "usher_runtime", "usher_model"];
            names.extend(quoted.filter(metric).filter(|name| !crates.contains(name)).map(str::to_owned));
        }
    }
    names
}

#[test]
fn every_metric_is_documented_and_every_documented_metric_exists() {
    let document = read("docs/operate/metrics.md");
    let registered = registered();
    assert!(registered.len() > 10, "{registered:?}");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")?.split(['`', '{']).next());
    // Counters are registered without the suffix that the text format gives them.
    let documented: BTreeSet<String> = rows.map(str::to_owned).collect();
    let is_documented =
        |name: &String| documented.contains(name) || documented.contains(&format!("{name}_total"));
    let missing: Vec<_> = registered.iter().filter(|name| !is_documented(name)).collect();
    assert!(missing.is_empty(), "not in docs/operate/metrics.md: {missing:?}");
    let exists =
        |name: &String| registered.contains(name) || registered.contains(name.trim_end_matches("_total"));
    let invented: Vec<_> = documented.iter().filter(|name| !exists(name)).collect();
    assert!(invented.is_empty(), "only in docs/operate/metrics.md: {invented:?}");
}

/// An operator who sees a refusal in a metric finds its limit and its setting on one page.
#[test]
fn every_reason_of_a_refusal_is_on_the_page_of_limits() {
    let reasons = read("edge-proxy/src/core/admission/shed_reason.rs");
    let reasons: BTreeSet<&str> =
        reasons.lines().filter_map(|line| line.split("=> \"").nth(1)?.split('"').next()).collect();
    assert!(reasons.len() > 9, "{reasons:?}");
    let page = read("docs/operate/limits.md");
    let missing: Vec<_> = reasons.iter().filter(|reason| !page.contains(&format!("`{reason}`"))).collect();
    assert!(missing.is_empty(), "not in docs/operate/limits.md: {missing:?}");
}

/// Returns the names of the test functions and helpers that any Rust file declares.
fn declared_functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for source in sources(&["."]) {
        for after in source.text().split("fn ").skip(1) {
            let name: String = after.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            if after[name.len()..].starts_with('(') {
                names.insert(name);
            }
        }
    }
    names
}

/// A number without a rule, a scenario or a test promises more than is checked.
#[test]
fn every_requirement_has_a_rule_a_scenario_and_tests_that_exist() {
    let functions = declared_functions();
    let requirements = requirements();
    let mut faults = Vec::new();
    for requirement in &requirements {
        let number = &requirement.number;
        if requirement.rule.is_empty() {
            faults.push(format!("{number}: no rule"));
        }
        if !requirement.scenario.contains('→') {
            faults.push(format!("{number}: no scenario `setup → action → expected`"));
        }
        if requirement.tests.is_empty() {
            faults.push(format!("{number}: no tests"));
        }
        let lost = requirement.tests.iter().filter(|test| !functions.contains(*test));
        faults.extend(lost.map(|test| format!("{number}: no test is called `{test}`")));
    }
    let tests: usize = requirements.iter().map(|requirement| requirement.tests.len()).sum();
    assert!(requirements.len() > 90 && tests > 400, "{} numbers, {tests} tests", requirements.len());
    assert!(faults.is_empty(), "docs/requirements/:\n{}", faults.join("\n"));
}

/// A test that is not listed is not found by a reader who starts at its requirement.
#[test]
fn every_test_with_a_number_is_listed_under_it() {
    let requirements = requirements();
    let listed: BTreeSet<(String, &str)> = requirements
        .iter()
        .flat_map(|one| one.tests.iter().map(|test| (one.number.clone(), test.as_str())))
        .collect();
    let families: BTreeSet<char> =
        requirements.iter().filter_map(|requirement| requirement.number.chars().next()).collect();
    let mut missing = Vec::new();
    for name in declared_functions() {
        let numbers = numbers_of_a_test(&name);
        let known = numbers.iter().filter(|number| number.starts_with(|letter| families.contains(&letter)));
        missing.extend(
            known
                .filter(|number| !listed.contains(&((*number).clone(), name.as_str())))
                .map(|number| format!("{number}: `{name}`")),
        );
    }
    assert!(missing.is_empty(), "not in docs/requirements/:\n{}", missing.join("\n"));
}

#[test]
fn the_table_of_requirements_agrees_with_its_pages() {
    let table = read("docs/requirements.md");
    let rows: BTreeSet<String> = table
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains("]("))
        .map(str::to_owned)
        .collect();
    let wanted: BTreeSet<String> = requirements()
        .iter()
        .map(|one| {
            format!("| {} | {} | [{page}](requirements/{page}.md) |", one.number, one.title, page = one.page)
        })
        .collect();
    let differing: Vec<_> = rows.symmetric_difference(&wanted).collect();
    assert!(differing.is_empty(), "rows of docs/requirements.md and headings of its pages: {differing:#?}");
}

#[test]
fn e6_the_defaults_are_those_of_the_requirements() {
    let wanted = [
        ("HealthSettings", "interval: Duration::from_secs(10)"),
        ("HealthSettings", "healthy_threshold: 3,"),
        ("HealthSettings", "unhealthy_after: Duration::from_mins(1)"),
        ("HealthSettings", "mass_failure_guard: 0.5,"),
        ("PlacementSettings", "min_users: 15,"),
        ("PlacementSettings", "join_buffer: Duration::from_mins(15)"),
        ("PlacementSettings", "slow_start: Duration::from_mins(1)"),
        ("PlacementSettings", "max_inflight_creates: 8,"),
        ("PlacementSettings", "panic_threshold: 0.5,"),
    ];
    let sources = sources(&["."]);
    for (settings, value) in wanted {
        let declared = format!("impl Default for {settings} {{");
        let block = sources.iter().find_map(|source| source.text().split_once(&declared));
        let (_, block) = block.unwrap_or_else(|| panic!("no default of {settings}"));
        let block = block.split("\n}\n").next().unwrap_or_default();
        assert!(block.contains(value), "{settings}: not `{value}`");
    }
}

/// A word is found by the alphabet, and has one meaning.
#[test]
fn the_glossary_is_in_order_and_has_each_word_once() {
    let glossary = read("docs/glossary.md");
    let words: Vec<String> = glossary
        .lines()
        .skip_while(|line| !line.starts_with("|---"))
        .skip(1)
        .filter_map(|row| row.strip_prefix("| ")?.split(" |").next())
        .map(|word| {
            word.chars().filter(|c| c.is_alphabetic() || *c == ' ').collect::<String>().to_lowercase()
        })
        .collect();
    assert!(words.len() > 80, "{} words", words.len());
    let disordered: Vec<_> = words.windows(2).filter(|pair| pair[0] >= pair[1]).collect();
    assert!(disordered.is_empty(), "{disordered:?}");
}

/// The map names folders and files; each of them has to exist under that name.
#[test]
fn every_path_on_the_map_exists() {
    let map = read("docs/ARCHITECTURE.md");
    let roots = [
        "bbb-sim/",
        "cli/",
        "common/",
        "control-plane/",
        "edge-proxy/",
        "proto/",
        "recordings/",
        "tests/",
        "xtask/",
    ];
    let mut seen = 0;
    for text in map.split('`').skip(1).step_by(2) {
        let is_path = roots.iter().any(|root| text.starts_with(root)) && !text.contains([' ', '\n', '*']);
        if is_path {
            assert!(usher_rules::root().join(text).exists(), "docs/ARCHITECTURE.md names `{text}`");
            seen += 1;
        }
    }
    assert!(seen > 30, "only {seen} paths");
}
