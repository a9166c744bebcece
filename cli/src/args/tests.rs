use clap::CommandFactory;

use super::*;

fn parse(line: &str) -> Result<CommandLine, clap::Error> {
    CommandLine::try_parse_from(std::iter::once("usher").chain(line.split_whitespace()))
}

#[test]
fn the_definitions_are_sound() {
    CommandLine::command().debug_assert();
}

#[test]
fn endpoint_token_and_output_go_before_or_after_the_noun() {
    for line in [
        "--endpoint http://x:1 --token t -o json servers list",
        "servers --endpoint http://x:1 list --token t --output json",
        "servers list --endpoint=http://x:1 --token=t -ojson",
    ] {
        let cli = parse(line).expect(line);
        assert_eq!(
            (cli.global.endpoint.as_slice(), cli.global.output),
            (["http://x:1".to_owned()].as_slice(), OutputFormat::Json),
            "{line}"
        );
        assert_eq!(cli.global.token, Some(Secret::new("t")));
        assert!(matches!(cli.command, UsherCommand::Servers(ServerCommand::List(_))));
    }
}

#[test]
fn several_endpoints_are_repeated_or_separated_by_commas() {
    for line in ["--endpoint a:1 --endpoint b:2 status", "status --endpoint a:1,b:2"] {
        assert_eq!(parse(line).expect(line).global.endpoint, ["a:1", "b:2"], "{line}");
    }
}

#[test]
fn every_command_of_the_design_is_understood() {
    for line in [
        "status --watch",
        "servers list --filter health!=online --order-by load --limit 5",
        "meetings list --tenant a --server b --filter users>3 --order-by users --limit 5",
        "replicas list",
        "alarms watch",
        "edges watch",
        "meetings watch --tenant a --filter users>3",
        "servers watch --filter health!=online",
        "edges show edge-1",
        "zombies show room --tenant a --server b",
        "hooks show 12 --tenant a",
        "servers show bbb1 --reveal",
        "servers check https://bbb1.example.org --secret s",
        "servers check bbb1",
        "servers add https://bbb1.example.org --secret s --id bbb1 --weight 2 --tag a --tag b --enable",
        "servers update bbb1 --weight 2",
        "servers remove bbb1 --yes",
        "servers enable bbb1",
        "servers cordon bbb1",
        "servers disable bbb1",
        "servers panic bbb1 --yes",
        "servers poll",
        "servers poll bbb1",
        "servers sync servers.yml --mode force --dry-run",
        "servers sync - --mode keep",
        "servers export",
        "tenants list",
        "tenants show school --reveal",
        "tenants add school --secret s --secret t --host bbb.school.example --disabled",
        "tenants update school --host a --host b",
        "tenants update school --no-hosts --enable",
        "tenants update school --disable",
        "tenants add school --secret s --max-meetings 5 --max-users 100 --max-cost 200 --max-duration 2h --server-tag gpu!",
        "tenants update school --create-rule default:record=true --create-rule remove:logo --no-join-rules",
        "tenants update school --presentation https://a.example/a.pdf --presentation-name b.pdf --force-presentation",
        "tenants update school --no-presentation --max-duration 0",
        "tenants add school --secret s --partial-recordings",
        "tenants update school --no-partial-recordings",
        "tenants remove school --yes",
        "tenants secret add school --secret s --first",
        "tenants secret remove school --secret s --yes",
        "meetings list --tenant default --server bbb1",
        "meetings show room --tenant other",
        "meetings end room --yes",
        "meetings supersede room -y",
        "zombies list",
        "zombies forget room --server bbb-0 --tenant school -y",
        "edges list",
        "completions bash",
        "demo",
        "standalone --listen 127.0.0.1:0 --control 127.0.0.1:0 --ops 127.0.0.1:0 --data d --secret a --secret b --servers - --config f",
        "bbb-sim --listen 127.0.0.1:0 --secret s --name one --fault slow,call=create --fault html",
        "bbb-sim --secret s --bbb-version 2.5 --clients-connect-at-once",
    ] {
        parse(line).expect(line);
    }
}

#[test]
fn malformed_arguments_are_refused() {
    for line in [
        "",
        "servers",
        "servers add https://x",
        "servers add https://x --secret",
        "servers update bbb1",
        "servers update bbb1 --tag a --no-tags",
        "tenants add school",
        "tenants update school",
        "tenants update school --host a --no-hosts",
        "tenants update school --enable --disable",
        "tenants secret add school",
        "tenants update school --create-rule record=true",
        "tenants update school --create-rule override:meetingID=x",
        "tenants update school --force-presentation",
        "tenants update school --partial-recordings --no-partial-recordings",
        "servers sync",
        "servers sync f --mode gentle",
        "servers list --output xml",
        "servers list --timeout 5",
        "bbb-sim",
        "bbb-sim --secret s --bbb-version 1.0",
        "meetings show",
    ] {
        assert!(parse(line).is_err(), "{line}");
    }
    assert!(CommandLine::try_parse_from(["usher", "standalone", "--secret", ""]).is_err());
}

#[test]
fn i14_arguments_print_without_secrets() {
    for line in [
        "--token hunter2 servers add https://x --secret hunter2",
        "tenants add school --secret hunter2",
        "tenants secret add school --secret hunter2",
        "standalone --secret hunter2",
        "bbb-sim --secret hunter2",
    ] {
        let cli = parse(line).expect(line);
        assert!(!format!("{cli:?}").contains("hunter2"), "{line}");
        if let UsherCommand::Standalone(args) = cli.command {
            assert!(!format!("{:?}", args.flags()).contains("hunter2"));
        }
    }
}
