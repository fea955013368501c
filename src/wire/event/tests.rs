//! Tables of records: what is read out of them, what is scanned, and why the bad ones are refused.

use super::*;
use crate::event::{Carrier, Kind, Millis, Place as At};

fn plain(record: &str) -> Event<'_> {
    read(record.as_bytes(), &FieldMap::default(), &ReadLimits::default())
        .unwrap_or_else(|error| panic!("{error}: {record}"))
}

fn refused(record: &[u8]) -> Unreadable {
    read(record, &FieldMap::default(), &ReadLimits::default()).unwrap_err()
}

/// What is scanned, as `carrier place pointer=text`.
fn scanned(event: &Event<'_>) -> Vec<String> {
    event
        .fields
        .iter()
        .map(|field| {
            let place = match field.place {
                At::Value => "",
                At::Key => "key ",
                At::Number => "number ",
            };
            format!("{} {place}{}={}", field.carrier.name(), event.pointer(field.node), field.text)
        })
        .collect()
}

const MINIMAL: &str = r#"{"v":1,"id":"e1","ts":0,"kind":"prompt","agent":{"id":"a1"}}"#;

#[test]
fn a_full_event_is_read_whole() {
    let record = r#"{"v":1,"id":"e\u0031","ts":"2026-11-20T10:00:00.250+01:00","kind":"tool_result","tenant":"t",
        "agent":{"id":"a","type":"mailer","note":"hi"},"session":"s","user":"u","delegation":["user:u","agent:a"],
        "deployment":{"id":"d","prompt_hash":"p","tools_hash":"h"},"traceparent":"00-1-2-01","trigger":"cron",
        "tool":{"name":"sql","call_id":"c","params":{"q":["x",7]},"result":"ok","rows":3,"bytes":40.0,"error":"boom"},
        "usage":{"tokens_in":10,"tokens_out":20,"cost_usd":0.0125},"model":"m","latency_ms":12.5,"data_classes":["pii"],
        "meta":{"k":true,"secret key":null},"other":-1.50}"#;
    let event = plain(record);
    assert_eq!((event.id.as_ref(), event.agent.as_ref(), event.tenant.as_ref()), ("e1", "a", "t"));
    assert_eq!(event.ts, Millis(1_795_165_200_250));
    assert_eq!(event.kind, Kind::ToolResult);
    assert_eq!(event.agent_type.as_deref(), Some("mailer"));
    assert_eq!((event.session.as_deref(), event.user.as_deref()), (Some("s"), Some("u")));
    assert_eq!(event.delegation, ["user:u", "agent:a"]);
    assert_eq!(event.deployment.tools_hash.as_deref(), Some("h"));
    assert_eq!(event.traceparent.as_deref(), Some("00-1-2-01"));
    let tool = event.tool.as_ref().unwrap();
    assert_eq!(
        (tool.name.as_ref(), tool.rows, tool.bytes, tool.error),
        ("sql", Some(3), Some(40), true)
    );
    assert_eq!(event.usage.cost_micro_usd, Some(12_500));
    assert_eq!((event.model.as_deref(), event.latency_ms), (Some("m"), Some(12)));
    assert_eq!(event.data_classes, ["pii"]);
    assert_eq!(
        scanned(&event),
        [
            "tool_result key /agent/note=note",
            "tool_result /agent/note=hi",
            "tool_result /trigger=cron",
            "tool_result key /tool/params/q=q",
            "tool_result /tool/params/q/0=x",
            "tool_result number /tool/params/q/1=7",
            "tool_result /tool/result=ok",
            "tool_result number /tool/rows=3",
            "tool_result number /tool/bytes=40.0",
            "tool_result /tool/error=boom",
            "tool_result number /usage/tokens_in=10",
            "tool_result number /usage/tokens_out=20",
            "tool_result number /usage/cost_usd=0.0125",
            "tool_result /model=m",
            "tool_result number /latency_ms=12.5",
            "tool_result /data_classes/0=pii",
            "tool_result key /meta/k=k",
            "tool_result key /meta/secret key=secret key",
            "tool_result key /other=other",
            "tool_result number /other=-1.50",
        ]
    );
    for field in &event.fields {
        let token = record.get(field.token.start..field.token.end).unwrap();
        assert_eq!(token.trim_matches('"'), field.text, "tokens are those of the record");
    }
}

#[test]
fn carriers_come_from_role_then_source_then_kind() {
    let event = plain(
        r#"{"v":1,"id":"e","ts":0,"kind":"prompt","agent":{"id":"a"},"source":"retrieved","text":"t","messages":[
        {"role":"system","content":"s"},{"role":"developer","content":"d"},{"role":"user","content":[{"type":"text","text":"u"}]},
        {"role":"assistant","content":"a"},{"role":"tool","content":"r"},{"role":"weird","content":"w"},
        {"role":"system","role":"user","content":"two"},{"content":"none"}]}"#,
    );
    let of = |text: &str| {
        event.fields.iter().find(|field| field.text == text).map(|field| field.carrier)
    };
    for (text, carrier) in [
        ("t", Carrier::Retrieved),
        ("s", Carrier::System),
        ("d", Carrier::System),
        ("u", Carrier::User),
        ("a", Carrier::Assistant),
        ("r", Carrier::ToolResult),
        ("w", Carrier::Retrieved),
        ("two", Carrier::Retrieved),
        ("none", Carrier::Retrieved),
    ] {
        assert_eq!(of(text), Some(carrier), "{text}");
    }
    assert!(!event.fields.iter().any(|field| field.text == "role" || field.text == "content"));
}

#[test]
fn a_source_does_not_change_who_says_the_parameters_of_a_call() {
    let record = r#"{"v":1,"id":"e","ts":0,"kind":"tool_call","agent":{"id":"a"},"source":"system",
        "tool":{"name":"n","params":{"to":"x"},"params":"y"},"text":"t"}"#;
    let scan = |record: &str| scanned(&plain(record));
    let call = scan(record);
    for line in [
        "tool_call key /tool/params/to=to",
        "tool_call /tool/params/to=x",
        "tool_call /tool/params=y",
        "system /text=t",
    ] {
        assert!(call.contains(&line.to_owned()), "{line} in {call:?}");
    }
    let result = scan(&record.replace("tool_call", "tool_result").replace("system", "retrieved"));
    assert!(result.contains(&"retrieved /tool/params/to=x".to_owned()), "{result:?}");
}

#[test]
fn a_repeated_key_that_decides_nothing_is_scanned_each_time() {
    let event = plain(
        r#"{"v":1,"id":"e","ts":0,"kind":"prompt","agent":{"id":"a"},"text":"one","text":"two","user":"x","user":"y"}"#,
    );
    assert_eq!(event.user.as_deref(), Some("y"));
    assert_eq!(scanned(&event), ["user /text=one", "user /text=two", "user /user=x"]);
}

#[test]
fn any_claimed_time_is_readable() {
    for (ts, ms) in [
        ("0", 0),
        ("-1", -1),
        ("4102444800000", 4_102_444_800_000),
        ("1.5e3", 1500),
        (r#""1970-01-01T00:00:00Z""#, 0),
        (r#""1969-12-31T23:59:59.999999Z""#, -1),
        (r#""2100-01-01t00:00:00z""#, 4_102_444_800_000),
        (r#""2100-01-01 01:00:00.000+01:00""#, 4_102_444_800_000),
        (r#""0000-01-01T00:00:00Z""#, -62_167_219_200_000),
    ] {
        let record = MINIMAL.replace(r#""ts":0"#, &format!(r#""ts":{ts}"#));
        assert_eq!(plain(&record).ts, Millis(ms), "{ts}");
    }
    for ts in [
        "\"\"",
        "\"1700000000000\"",
        "\"2026-11-20\"",
        "\"2026-11-20T10:00Z\"",
        "\"2026-11-20T10:00:00\"",
        "\"2026-13-20T10:00:00Z\"",
        "\"2026-11-20T10:00:00Z[UTC]\"",
        "\"2026-11-20T10:00:00+0100\"",
        "1e300",
        "\"x\"",
    ] {
        let record = MINIMAL.replace(r#""ts":0"#, &format!(r#""ts":{ts}"#));
        assert_eq!(refused(record.as_bytes()).reason, UnreadableReason::BadValue, "{ts}");
    }
}

/// Id and agent of a refused record.
type Named<'a> = (Option<&'a str>, Option<&'a str>);

#[test]
fn what_is_refused_says_why_and_whose_it_was() {
    use UnreadableReason as R;
    let named = (Some("e1"), Some("a1"));
    let deep =
        MINIMAL.replace('}', "").replace("\"a1\"", "\"a1\"}") + ",\"text\":" + &"[".repeat(10_000);
    let long = MINIMAL.replace("e1", &"e".repeat(513));
    let chunk = MINIMAL.replace("prompt", "output_chunk");
    let with = |extra: &str| MINIMAL.replace("{\"v\"", &format!("{{{extra},\"v\""));
    let cases: Vec<(Vec<u8>, R, Named<'_>)> = vec![
        (b"".to_vec(), R::Empty, (None, None)),
        (b"hello".to_vec(), R::NotJson, (None, None)),
        (b"[]".to_vec(), R::NotAnObject, (None, None)),
        (b"null".to_vec(), R::NotAnObject, (None, None)),
        (b"\0\0\0\0\x07".to_vec(), R::Truncated, (None, None)),
        ([MINIMAL.as_bytes(), b"}"].concat(), R::NotJson, named),
        (MINIMAL.as_bytes()[..MINIMAL.len() - 2].to_vec(), R::Truncated, named),
        (MINIMAL.as_bytes()[..14].to_vec(), R::Truncated, (None, None)),
        (
            [&MINIMAL.as_bytes()[..MINIMAL.len() - 1], b",\"text\":\"\xff\"}"].concat(),
            R::NotUtf8,
            named,
        ),
        (deep.into_bytes(), R::TooDeep, named),
        (
            with(&format!("\"x\":[{}0]", "0,".repeat(100_000))).into_bytes(),
            R::TooManyValues,
            (None, None),
        ),
        (MINIMAL.replace("\"v\":1", "\"v\":2").into_bytes(), R::UnknownVersion, named),
        (MINIMAL.replace("\"v\":1,", "").into_bytes(), R::MissingField, named),
        (MINIMAL.replace("\"v\":1", "\"v\":\"1\"").into_bytes(), R::WrongType, named),
        (MINIMAL.replace("\"id\":\"e1\",", "").into_bytes(), R::MissingField, (None, Some("a1"))),
        (MINIMAL.replace("\"e1\"", "7").into_bytes(), R::WrongType, (None, Some("a1"))),
        (MINIMAL.replace("\"e1\"", "null").into_bytes(), R::MissingField, (None, Some("a1"))),
        (MINIMAL.replace("\"ts\":0,", "").into_bytes(), R::MissingField, named),
        (MINIMAL.replace("\"ts\":0", "\"ts\":true").into_bytes(), R::WrongType, named),
        (MINIMAL.replace("prompt", "thought").into_bytes(), R::UnknownKind, named),
        (MINIMAL.replace("\"kind\":\"prompt\",", "").into_bytes(), R::MissingField, named),
        (MINIMAL.replace("\"id\":\"a1\"", "").into_bytes(), R::MissingAgent, (Some("e1"), None)),
        (MINIMAL.replace("a1", "").into_bytes(), R::MissingAgent, (Some("e1"), None)),
        (
            MINIMAL.replace("{\"id\":\"a1\"}", "\"a1\"").into_bytes(),
            R::WrongType,
            (Some("e1"), None),
        ),
        (
            MINIMAL.replace("{\"id\":\"a1\"}", "null").into_bytes(),
            R::MissingAgent,
            (Some("e1"), None),
        ),
        (MINIMAL.replace("prompt", "tool_call").into_bytes(), R::MissingField, named),
        (chunk.clone().into_bytes(), R::MissingField, named),
        (long.into_bytes(), R::IdTooLong, (None, Some("a1"))),
        (with("\"id\":\"other\"").into_bytes(), R::DuplicateKey, (None, Some("a1"))),
        (with("\"\\u0069d\":\"e1\"").into_bytes(), R::DuplicateKey, (None, Some("a1"))),
        (with("\"agent\":{\"id\":\"b\"}").into_bytes(), R::DuplicateKey, (Some("e1"), None)),
        (with("\"kind\":null").into_bytes(), R::DuplicateKey, named),
        (with("\"tenant\":\"x\",\"tenant\":\"x\"").into_bytes(), R::DuplicateKey, named),
        (with("\"session\":\"x\",\"session\":\"x\"").into_bytes(), R::DuplicateKey, named),
        (with("\"tool\":{\"name\":\"x\",\"name\":\"y\"}").into_bytes(), R::DuplicateKey, named),
        (with("\"tool\":{},\"tool\":{}").into_bytes(), R::DuplicateKey, named),
        (with("\"stream\":{\"seq\":1,\"seq\":2}").into_bytes(), R::DuplicateKey, named),
        (with("\"stream\":{\"id\":\"s\"}").into_bytes(), R::MissingField, named),
        (
            with("\"stream\":{\"id\":\"s\",\"seq\":-1,\"last\":true}").into_bytes(),
            R::WrongType,
            named,
        ),
        (with("\"stream\":{\"id\":\"s\",\"seq\":1,\"last\":1}").into_bytes(), R::WrongType, named),
        (with("\"tool\":[]").into_bytes(), R::WrongType, named),
        (with("\"text\":{}").into_bytes(), R::WrongType, named),
        (with("\"messages\":\"x\"").into_bytes(), R::WrongType, named),
        (with("\"messages\":[\"x\"]").into_bytes(), R::WrongType, named),
        (with("\"delegation\":[1]").into_bytes(), R::WrongType, named),
        (with("\"act\":\"a\"").into_bytes(), R::WrongType, named),
        (with("\"act\":{\"sub\":1}").into_bytes(), R::WrongType, named),
        (with("\"act\":{\"sub\":\"a\",\"act\":[]}").into_bytes(), R::WrongType, named),
        (with("\"act\":{}").into_bytes(), R::MissingField, named),
        (
            with("\"act\":{\"sub\":\"a\",\"act\":{\"sub\":null}}").into_bytes(),
            R::MissingField,
            named,
        ),
        (with("\"usage\":{\"tokens_in\":1.5}").into_bytes(), R::WrongType, named),
        (with("\"usage\":{\"cost_usd\":-1}").into_bytes(), R::WrongType, named),
        (with("\"gen_ai.agent.id\":\"b\"").into_bytes(), R::DuplicateKey, (Some("e1"), None)),
    ];
    for (record, reason, (id, agent)) in cases {
        let shown = String::from_utf8_lossy(&record[..record.len().min(90)]).into_owned();
        let unreadable = refused(&record);
        assert_eq!(unreadable.reason, reason, "{shown}: {unreadable}");
        assert_eq!(unreadable.id.as_deref(), id, "id of {shown}");
        assert_eq!(unreadable.agent.as_deref(), agent, "agent of {shown}");
        assert!(!unreadable.message.is_empty());
    }
}

#[test]
fn a_record_over_the_limit_is_still_named() {
    let limits = ReadLimits { record_bytes: 1000, ..ReadLimits::default() };
    let record = MINIMAL.replace('}', "").replace("\"a1\"", "\"a1\"}")
        + &format!(",\"text\":\"{}\"}}", "é".repeat(60_000));
    let unreadable = read(record.as_bytes(), &FieldMap::default(), &limits).unwrap_err();
    assert_eq!(unreadable.reason, UnreadableReason::TooLarge);
    assert_eq!(unreadable.id.as_deref(), Some("e1"));
    assert_eq!(unreadable.agent.as_deref(), Some("a1"));
}

#[test]
fn a_schema_registry_prefix_is_accepted_and_counted() {
    let record = [
        &b"\0\0\0\xff\x07"[..],
        MINIMAL.replace("prompt\"", "prompt\",\"text\":\"hi\"").as_bytes(),
    ]
    .concat();
    let event = read(&record, &FieldMap::default(), &ReadLimits::default()).unwrap();
    let token = event.fields[0].token;
    assert_eq!(&record[token.start..token.end], b"\"hi\"");
}

fn mapped(entries: &[(&str, Take)]) -> Result<FieldMap, FieldMapError> {
    FieldMap::new(entries.iter().map(|(name, take)| ((*name).to_owned(), take.clone())))
}

fn at(pointer: &str) -> Take {
    Take::At(pointer.to_owned())
}

#[test]
fn foreign_json_is_read_through_a_map() {
    let kinds = vec![("ask".to_owned(), "prompt".to_owned())];
    let map = mapped(&[
        ("id", at("/request/uuid")),
        ("ts", at("/when")),
        ("kind", Take::Renamed { at: "/type".to_owned(), values: kinds }),
        ("agent.id", at("/bots/1")),
        ("session", at("/a~1b")),
        ("tenant", Take::Const("acme".to_owned())),
        ("messages", at("/chat")),
    ])
    .unwrap();
    let record = r#"{"request":{"uuid":17},"when":"2026-11-20T09:00:00Z","type":"ask","bots":["x","bot"],"a/b":"s1","id":5,
        "session":"not ours","chat":[{"role":"system","content":"rules"}],"payload":{"body":"text"}}"#;
    let event = read(record.as_bytes(), &map, &ReadLimits::default()).unwrap();
    assert_eq!(
        (event.id.as_ref(), event.agent.as_ref(), event.tenant.as_ref()),
        ("17", "bot", "acme")
    );
    assert_eq!((event.kind, event.session.as_deref()), (Kind::Prompt, Some("s1")));
    assert_eq!(
        scanned(&event),
        [
            "user /bots/0=x",
            "user key /id=id",
            "user number /id=5",
            "user key /session=session",
            "user /session=not ours",
            "system /chat/0/role=system",
            "system /chat/0/content=rules",
            "user key /payload=payload",
            "user key /payload/body=body",
            "user /payload/body=text",
        ]
    );
    let twice = record.replace("\"when\"", "\"request\":{\"uuid\":18},\"when\"");
    let error = read(twice.as_bytes(), &map, &ReadLimits::default()).unwrap_err();
    assert_eq!(error.reason, UnreadableReason::DuplicateKey);
}

#[test]
fn a_map_that_cannot_work_is_refused() {
    let whole = [("id", at("/i")), ("ts", at("/t")), ("kind", at("/k")), ("agent.id", at("/a"))];
    assert!(mapped(&whole).is_ok());
    assert_eq!(mapped(&whole[1..]), Err(FieldMapError::Missing("id")));
    assert_eq!(mapped(&whole[..3]), Err(FieldMapError::Missing("agent.id")));
    assert!(matches!(mapped(&[("id", at("i"))]), Err(FieldMapError::NotAPointer { .. })));
    assert!(matches!(mapped(&[("agent", at("/i"))]), Err(FieldMapError::UnknownField { .. })));
    assert!(FieldMap::field_names().any(|name| name == "tool.params"));
}

#[test]
fn gen_ai_attributes_are_read_without_a_map() {
    let call = r#"{"spanId":"51","timeUnixNano":"1700000000123456789","attributes":{"gen_ai.operation.name":"execute_tool",
        "gen_ai.agent.id":"a","gen_ai.conversation.id":"c","gen_ai.tool.name":"mail","gen_ai.tool.call.id":"7",
        "gen_ai.tool.call.arguments":"{\"to\":\"x\"}","server.address":"h"}}"#;
    let event = plain(call);
    assert_eq!(
        (event.id.as_ref(), event.agent.as_ref(), event.ts),
        ("51", "a", Millis(1_700_000_000_123))
    );
    assert_eq!((event.kind, event.session.as_deref()), (Kind::ToolCall, Some("c")));
    let tool = event.tool.as_ref().unwrap();
    assert_eq!((tool.name.as_ref(), tool.call_id.as_deref()), ("mail", Some("7")));
    assert_eq!(
        scanned(&event),
        [
            "tool_call key /spanId=spanId",
            "tool_call key /timeUnixNano=timeUnixNano",
            "tool_call /attributes/gen_ai.tool.call.arguments={\"to\":\"x\"}",
            "tool_call key /attributes/server.address=server.address",
            "tool_call /attributes/server.address=h",
        ]
    );
    let chat = plain(
        r#"{"v":1,"id":"e","ts":0,"gen_ai.operation.name":"chat","gen_ai.agent.id":"a","gen_ai.request.model":"m",
        "gen_ai.usage.input_tokens":5,"gen_ai.system_instructions":[{"type":"text","content":"be kind"}],
        "gen_ai.input.messages":[{"role":"user","parts":[{"type":"text","content":"hello"}]}],
        "gen_ai.output.messages":[{"role":"assistant","parts":[{"type":"text","content":"hi"}]}]}"#,
    );
    assert_eq!(
        (chat.kind, chat.usage.tokens_in, chat.model.as_deref()),
        (Kind::Output, Some(5), Some("m"))
    );
    let of = |text: &str| chat.fields.iter().find(|field| field.text == text).unwrap().carrier;
    assert_eq!(
        (of("be kind"), of("hello"), of("hi")),
        (Carrier::System, Carrier::User, Carrier::Assistant)
    );
    let unknown = chat_with("dance");
    assert_eq!(refused(unknown.as_bytes()).reason, UnreadableReason::UnknownKind);
    assert_eq!(plain(&chat_with("invoke_agent")).kind, Kind::Prompt);
}

fn chat_with(operation: &str) -> String {
    format!(r#"{{"id":"e","ts":0,"gen_ai.operation.name":"{operation}","gen_ai.agent.id":"a"}}"#)
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(300))]

    #[test]
    fn no_bytes_panic(mut bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80), at in 0usize..60) {
        let _read = read(&bytes, &FieldMap::default(), &ReadLimits::default());
        let mut record = MINIMAL.as_bytes().to_vec();
        record.splice(at.min(record.len()).., bytes.drain(..));
        let _read = read(&record, &FieldMap::default(), &ReadLimits::default());
    }
}
