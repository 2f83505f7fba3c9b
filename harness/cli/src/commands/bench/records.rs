//! What is published in measurements: real records, of a hundred bytes each where the row says so.

/// Earthquakes of a week in February 2018, a GeoJSON feature a line (USGS).
const EARTHQUAKES: &str = include_str!("../../../../node/data/earthquakes.jsonl");

/// Bytes of a small record.
pub const SMALL_BYTES: usize = 100;

/// Time, magnitude and place of each earthquake as a JSON object of exactly [`SMALL_BYTES`]: a longer place is cut, a
/// shorter one repeated.
pub fn small() -> Vec<String> {
    EARTHQUAKES.lines().map(cut).collect()
}

fn cut(line: &str) -> String {
    let record: serde_json::Value = serde_json::from_str(line).expect("the records are JSON");
    let properties = &record["properties"];
    let place = properties["place"].as_str().expect("every earthquake has a place");
    let mut text = format!(r#"{{"time":{},"mag":{},"place":""#, properties["time"], properties["mag"]);
    let end = SMALL_BYTES - r#""}"#.len();
    // A letter of several bytes could be cut in two, and a quote would need an escape.
    let letters = place.chars().chain(" / ".chars()).filter(|c| c.is_ascii() && !matches!(c, '"' | '\\'));
    text.extend(letters.cycle().take(end - text.len()));
    text + r#""}"#
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_records_are_json_of_one_size() {
        let records = small();
        assert_eq!(records.len(), 200);
        for record in &records {
            let value: serde_json::Value = serde_json::from_str(record).expect("JSON");
            assert!(record.len() == SMALL_BYTES && value["mag"].is_number(), "{record}");
        }
        assert!(records[0].contains("7km NNW of Greenville, California"), "{}", records[0]);
    }
}
