//! Every format with records as agencies publish them, and every way they are spoilt.

use super::*;

/// Two features of the USGS all-week feed, newest first, as published.
const EARTHQUAKES: &str = concat!(
    r#"{"type":"FeatureCollection","metadata":{"generated":1517968154000,"title":"USGS All Earthquakes, Past Week","#,
    r#""status":200,"api":"1.5.8","count":2},"features":["#,
    r#"{"type":"Feature","properties":{"mag":2,"place":"4km W of Castaic, CA","time":1517966773840,"felt":null,"#,
    r#""ids":",ci37868143,"},"geometry":{"type":"Point","coordinates":[-118.6645,34.4890000,0.81]},"id":"ci37868143"},"#,
    r#"{"type":"Feature","properties":{"mag":1.30,"place":"28km SW of Atka","time":1517966000000},"#,
    r#""geometry":{"type":"Point","coordinates":[-174.5,52.0,10]},"id":"ak1"}],"bbox":[-179.9]}"#
);
/// Departures of the Bureau of Transportation Statistics.
const FLIGHTS: &str = concat!(
    r#"[{"date":"2001/01/01 00:47","delay":66,"distance":1750,"origin":"DTW","destination":"LAS"},"#,
    "\n",
    r#" {"date":"2001/01/01 01:10","delay":-5,"distance":2399,"origin":"HNL","destination":"SFO"}]"#
);
/// Hourly normals of NOAA.
const WEATHER: &str = "date,pressure,temperature,wind\n2010-01-01T01:00:00,1016.6,4.0,3.8\n\
                       2010-01-01T02:00:00,1016.6,3.9,3.8\n";

fn fields(timestamp: Option<&str>, key: Option<&str>) -> Fields {
    let path = |text: &str| text.parse().expect("a path");
    Fields { timestamp: timestamp.map(path), partition_key: key.map(path) }
}

fn read_as(text: &str, format: Option<Format>, fields: Fields) -> Result<Vec<Event>, InputError> {
    Reader::open(text.as_bytes(), format, fields)?.collect()
}

fn contents(text: &str) -> Vec<String> {
    let events = read_as(text, None, Fields::default()).unwrap_or_else(|error| panic!("{text:?}: {error}"));
    events.into_iter().map(|event| String::from_utf8(event.content.to_vec()).expect("text")).collect()
}

fn refusal(text: &str) -> String {
    read_as(text, None, Fields::default()).expect_err(text).to_string()
}

#[test]
fn features_are_events_byte_for_byte() {
    let events = contents(EARTHQUAKES);
    assert_eq!(events.len(), 2);
    // Trailing zeros and the order of keys survive: nothing is parsed and written again.
    assert!(
        events[0].contains("34.4890000")
            && events[0].starts_with(r#"{"type":"Feature","properties":{"mag":2,"#)
    );
    assert!(events.iter().all(|event| EARTHQUAKES.contains(event.as_str())));
}

#[test]
fn a_feature_collection_may_be_spread_over_lines() {
    let pretty = EARTHQUAKES.replace("\"features\":[", "\n  \"features\": [\n");
    assert_eq!(contents(&pretty), contents(EARTHQUAKES));
}

#[test]
fn times_come_from_a_nested_field_and_sorting_is_stable() {
    let mut events = read_as(EARTHQUAKES, None, fields(Some("properties.time"), None)).expect("two events");
    sort_by_time(&mut events);
    assert_eq!(
        events.iter().map(|event| event.timestamp_ms).collect::<Vec<_>>(),
        [Some(1_517_966_000_000), Some(1_517_966_773_840)]
    );
    let twice = "{\"t\":1,\"n\":0}\n{\"t\":0,\"n\":1}\n{\"t\":1,\"n\":2}\n{\"t\":0,\"n\":3}\n";
    let mut events = read_as(twice, None, fields(Some("t"), Some("n"))).expect("four events");
    sort_by_time(&mut events);
    let order: Vec<_> = events.iter().map(|event| event.partition_key.as_deref().expect("a key")).collect();
    assert_eq!(order, ["1", "3", "0", "2"]);
}

#[test]
fn array_elements_are_events_byte_for_byte() {
    let events = read_as(FLIGHTS, None, fields(None, Some("origin"))).expect("two events");
    assert_eq!(
        events.iter().map(|event| event.partition_key.as_deref()).collect::<Vec<_>>(),
        [Some("DTW"), Some("HNL")]
    );
    assert!(events.iter().all(|event| FLIGHTS.contains(std::str::from_utf8(&event.content).expect("text"))));
    assert_eq!(contents("[]"), Vec::<String>::new());
    assert_eq!(contents(" [ 1 , \"a,]\" , null , [2] ] \n"), ["1", "\"a,]\"", "null", "[2]"]);
}

#[test]
fn a_date_that_is_not_iso_8601_is_named_with_its_element() {
    let error = read_as(FLIGHTS, None, fields(Some("date"), None)).expect_err("not ISO 8601").to_string();
    assert!(
        error.contains("element 1") && error.contains("2001/01/01 00:47") && error.contains("ISO 8601"),
        "{error}"
    );
    let error = read_as(FLIGHTS, None, fields(Some("time"), None)).expect_err("no such field").to_string();
    assert!(error.contains("no field \"time\""), "{error}");
}

#[test]
fn csv_rows_are_objects_of_strings_in_the_headers_order() {
    let events = read_as(WEATHER, None, fields(Some("date"), Some("wind"))).expect("two rows");
    assert_eq!(
        events[0].content,
        r#"{"date":"2010-01-01T01:00:00","pressure":"1016.6","temperature":"4.0","wind":"3.8"}"#
    );
    assert_eq!(events[0].timestamp_ms, Some(1_262_307_600_000));
    assert_eq!(contents("name,text\nx,\"a \"\"b\"\", c\"\n"), [r#"{"name":"x","text":"a \"b\", c"}"#]);
}

#[test]
fn lines_are_events_and_blank_lines_are_not() {
    assert_eq!(contents("{\"a\": 1}\n\n  {\"b\":2} \r\n3\n"), ["{\"a\": 1}", "{\"b\":2}", "3"]);
    assert_eq!(contents("\n\n\"x\"\n"), ["\"x\""]);
    assert_eq!(contents("\u{feff}{\"a\":1}\n"), ["{\"a\":1}"]);
}

#[test]
fn one_object_over_several_lines_is_one_event() {
    assert_eq!(contents("{\n  \"a\": 1\n}\n"), ["{\n  \"a\": 1\n}"]);
}

#[test]
fn a_format_can_be_named() {
    let text = "\"word\"\n\"x\"\n";
    assert_eq!(contents(text).len(), 2, "two JSON strings unless told otherwise");
    let rows = read_as(text, Some(Format::Csv), Fields::default()).expect("one row");
    assert_eq!(rows[0].content, r#"{"word":"x"}"#);
    let error =
        read_as("{\"a\":1}", Some(Format::JsonArray), Fields::default()).expect_err("no array").to_string();
    assert!(error.contains("line 1") && error.contains("wanted ["), "{error}");
    let error =
        read_as("{\"a\":1}", Some(Format::GeoJson), Fields::default()).expect_err("no features").to_string();
    assert!(error.contains("features"), "{error}");
}

#[test]
fn what_is_spoilt_is_named_with_its_place() {
    for (text, expected) in [
        ("{\"a\":1}\n{\"a\":}\n", &["line 2", "not JSON", "--format"][..]),
        ("{\"a\":1}\n{\"a\":1} x\n", &["line 2", "trailing characters"]),
        ("[1,\n2,\nx]", &["element 3", "line 3", "not JSON"]),
        ("[1 2]", &["line 1", "wanted a comma or ]", "'2'"]),
        ("[1,]", &["element 2", "not JSON"]),
        ("[1", &["wanted a comma or ]", "end of the input"]),
        ("[1] 2", &["follows the array's end"]),
        ("[{\"a\":", &["element 1", "not JSON"]),
        ("{\"a\":\n1,\n}", &["line 3", "not JSON"]),
        ("a,b\n1\n", &["element 1", "line 2", "1 cells"]),
        ("a,a\n1,2\n", &["repeats a name"]),
        ("a,\n1,2\n", &["has no name"]),
        ("", &["empty"]),
        (" \n\n", &["empty"]),
    ] {
        let error = refusal(text);
        assert!(expected.iter().all(|part| error.contains(part)), "{text:?}: {error}");
    }
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let error = Reader::open(&b"{\"a\":\"\xff\"}\n"[..], Some(Format::JsonLines), Fields::default())
        .expect("opens")
        .next()
        .expect("a record")
        .expect_err("not UTF-8");
    assert!(error.to_string().contains("UTF-8"), "{error}");
}

#[test]
fn events_before_a_spoilt_one_are_read() {
    let mut reader = Reader::open("{\"a\":1}\nx\n".as_bytes(), None, Fields::default()).expect("opens");
    assert!(reader.next().expect("first").is_ok());
    assert!(reader.next().expect("second").is_err());
}
