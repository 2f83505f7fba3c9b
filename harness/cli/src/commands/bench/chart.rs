//! Charts as SVG: lines through points, or a bar for each name.

use super::axis::{Axis, Scale};
use super::row::number;

/// A chart's width in pixels.
const WIDTH: f64 = 780.0;

/// The height of a chart of lines between its axes.
const HEIGHT: f64 = 320.0;

/// The height of one bar with the gap below it.
const BAR: f64 = 22.0;

/// Above the drawing is the title, below it marks and label of the axis.
const TOP: f64 = 58.0;
const BOTTOM: f64 = 52.0;

/// Room to the right of the drawing.
const RIGHT: f64 = 28.0;

/// Room for the legend of a chart of several lines.
const LEGEND: f64 = 150.0;

/// Pixels that a letter is about as wide as.
const LETTER: f64 = 6.6;

/// Colours that are told apart by most eyes (Okabe and Ito, 2008).
const COLOURS: [&str; 7] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000"];

/// A picture of figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What its file is called, without the ending.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// What is drawn.
    pub drawing: Drawing,
}

/// What is drawn.
#[derive(Clone, Debug, PartialEq)]
pub enum Drawing {
    /// Lines through points, each line with a name.
    Lines {
        /// From left to right.
        x: Axis,
        /// From bottom to top.
        y: Axis,
        /// The lines.
        lines: Vec<Line>,
    },
    /// A bar for each name, one below the other.
    Bars {
        /// From left to right.
        x: Axis,
        /// The bars.
        bars: Vec<Bar>,
        /// A value to compare all of them with.
        mark: Option<f64>,
    },
}

/// A line with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Its name.
    pub name: String,
    /// Its points, x ascending.
    pub points: Vec<(f64, f64)>,
}

/// A bar with a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Its name.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// The least and most of what its value is the middle of.
    pub range: Option<(f64, f64)>,
}

impl Chart {
    /// The chart's file name.
    pub fn file(&self) -> String {
        format!("{}.svg", self.name)
    }

    /// The chart as an SVG document.
    pub fn svg(&self) -> String {
        let mut canvas = Canvas::default();
        canvas.text(16.0, 24.0, "start", "bold", &self.title);
        let height = match &self.drawing {
            Drawing::Lines { x, y, lines } => draw_lines(&mut canvas, x, y, lines),
            Drawing::Bars { x, bars, mark } => draw_bars(&mut canvas, x, bars, *mark),
        };
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" \
             viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"12\">\n\
             <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n{}</svg>\n",
            canvas.0
        )
    }
}

/// Lines between two axes; gives the height of all.
fn draw_lines(canvas: &mut Canvas, x: &Axis, y: &Axis, lines: &[Line]) -> f64 {
    let points = || lines.iter().flat_map(|line| line.points.iter().copied());
    let (across, up) = (x.over(points().map(|point| point.0)), y.over(points().map(|point| point.1)));
    let left = 30.0 + widest(up.marks.iter().map(|mark| short(*mark)));
    let right = WIDTH - RIGHT - if lines.len() > 1 { LEGEND } else { 0.0 };
    let (top, bottom) = (TOP, TOP + HEIGHT);
    let at = |value: f64, scale: &Scale, from: f64, to: f64| from + scale.place(value) * (to - from);
    for mark in &up.marks {
        let height = at(*mark, &up, bottom, top);
        canvas.line((left, height), (right, height), "#dddddd");
        canvas.text(left - 6.0, height + 4.0, "end", "normal", &short(*mark));
    }
    draw_below(canvas, x, &across, (left, right), (top, bottom));
    canvas.text(16.0, TOP - 16.0, "start", "normal", &y.label);
    for (line, (nth, colour)) in lines.iter().zip(COLOURS.iter().cycle().enumerate()) {
        let place = |(x, y): &(f64, f64)| (at(*x, &across, left, right), at(*y, &up, bottom, top));
        let places: Vec<(f64, f64)> = line.points.iter().map(place).collect();
        canvas.path(&places, colour);
        places.iter().for_each(|place| canvas.dot(*place, colour));
        if lines.len() > 1 {
            let height = top + 12.0 + 18.0 * nth as f64;
            canvas.dot((right + 16.0, height - 4.0), colour);
            canvas.text(right + 26.0, height, "start", "normal", &line.name);
        }
    }
    bottom + BOTTOM
}

/// Bars along one axis; gives the height of all.
fn draw_bars(canvas: &mut Canvas, x: &Axis, bars: &[Bar], mark: Option<f64>) -> f64 {
    let ends = bars.iter().flat_map(|bar| [bar.value, bar.range.map_or(bar.value, |(_, most)| most)]);
    let across = x.over(ends.chain(mark));
    // Values are written behind the longest bar at the most.
    let left = 24.0 + widest(bars.iter().map(|bar| bar.name.clone()));
    let right = WIDTH - RIGHT - widest(bars.iter().map(|bar| number(bar.value)));
    let (top, bottom) = (TOP, TOP + BAR * bars.len() as f64);
    let at = |value: f64| left + across.place(value).clamp(0.0, 1.0) * (right - left);
    draw_below(canvas, x, &across, (left, right), (top, bottom));
    for (nth, bar) in bars.iter().enumerate() {
        let middle = top + BAR * (nth as f64 + 0.5);
        canvas.text(left - 8.0, middle + 4.0, "end", "normal", &bar.name);
        canvas.bar((left, middle - 7.0), (at(bar.value) - left, 14.0), COLOURS[0]);
        let mut end = at(bar.value);
        if let Some((least, most)) = bar.range {
            end = end.max(at(most));
            canvas.line((at(least), middle), (at(most), middle), COLOURS[1]);
            for end in [at(least), at(most)] {
                canvas.line((end, middle - 4.0), (end, middle + 4.0), COLOURS[1]);
            }
        }
        canvas.text(end + 5.0, middle + 4.0, "start", "normal", &number(bar.value));
    }
    if let Some(mark) = mark {
        canvas.line((at(mark), top), (at(mark), bottom), COLOURS[1]);
    }
    bottom + BOTTOM
}

/// The axis below a drawing: marks, lines up from them, label.
fn draw_below(
    canvas: &mut Canvas,
    axis: &Axis,
    scale: &Scale,
    (left, right): (f64, f64),
    (top, bottom): (f64, f64),
) {
    for mark in &scale.marks {
        let across = left + scale.place(*mark) * (right - left);
        canvas.line((across, top), (across, bottom), "#dddddd");
        canvas.text(across, bottom + 16.0, "middle", "normal", &short(*mark));
    }
    canvas.text(f64::midpoint(left, right), bottom + 36.0, "middle", "normal", &axis.label);
}

/// A mark's number, without zeros that say nothing.
fn short(mark: f64) -> String {
    let text = number(mark);
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').into() } else { text }
}

/// How wide the widest of these texts is, about.
fn widest(texts: impl Iterator<Item = String>) -> f64 {
    texts.map(|text| text.chars().count()).max().unwrap_or(0) as f64 * LETTER
}

/// The elements of a document so far.
#[derive(Default)]
struct Canvas(String);

impl Canvas {
    fn add(&mut self, element: &str) {
        self.0.push_str(element);
        self.0.push('\n');
    }

    fn text(&mut self, x: f64, y: f64, anchor: &str, weight: &str, text: &str) {
        let text = escaped(text);
        self.add(&format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-weight=\"{weight}\">{text}</text>"
        ));
    }

    fn line(&mut self, (x1, y1): (f64, f64), (x2, y2): (f64, f64), colour: &str) {
        self.add(&format!(
            "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"{colour}\"/>"
        ));
    }

    fn path(&mut self, places: &[(f64, f64)], colour: &str) {
        let places: Vec<String> = places.iter().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
        let places = places.join(" ");
        self.add(&format!(
            "<polyline points=\"{places}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"
        ));
    }

    fn dot(&mut self, (x, y): (f64, f64), colour: &str) {
        self.add(&format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>"));
    }

    fn bar(&mut self, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
        self.add(&format!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
        ));
    }
}

/// Text that stands for itself in XML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(bars: Vec<Bar>) -> Chart {
        let drawing = Drawing::Bars { x: Axis::linear("gas"), bars, mark: Some(50.0) };
        Chart { name: "gas".into(), title: "a < b & c".into(), drawing }
    }

    #[test]
    fn bars_are_as_long_as_their_values() {
        let bar = |name: &str, value| Bar { name: name.into(), value, range: Some((value / 2.0, value)) };
        let svg = bars(vec![bar("one", 50.0), bar("two", 100.0)]).svg();
        let width = |line: &&str| line.starts_with("<rect x").then(|| line.split('"').nth(5).map(str::parse));
        let widths: Vec<f64> =
            svg.lines().filter_map(|line| width(&line)?).collect::<Result<_, _>>().unwrap();
        assert!(widths.len() == 2 && (widths[1] / widths[0] - 2.0).abs() < 0.01, "{widths:?}");
        assert!(svg.contains(">a &lt; b &amp; c<") && svg.contains(">two<") && svg.contains(">gas<"));
    }

    #[test]
    fn lines_go_through_their_points() {
        let line = |name: &str, factor: f64| Line {
            name: name.into(),
            points: [8.0, 64.0, 512.0].map(|x| (x, x * factor)).to_vec(),
        };
        let drawing = Drawing::Lines {
            x: Axis::logarithmic("brokers"),
            y: Axis::linear("events/s"),
            lines: vec![line("a", 1.0), line("b", 2.0)],
        };
        let svg = Chart { name: "scaling".into(), title: "t".into(), drawing }.svg();
        let paths: Vec<_> = svg.lines().filter(|line| line.starts_with("<polyline")).collect();
        assert!(paths.len() == 2 && paths.iter().all(|path| path.matches(',').count() == 3), "{paths:?}");
        let places = |path: &str| -> Vec<(f64, f64)> {
            let points = path.split('"').nth(1).unwrap().split(' ');
            points
                .map(|p| p.split_once(',').unwrap())
                .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
                .collect()
        };
        let (a, b) = (places(paths[0]), places(paths[1]));
        assert!((a[1].0 - a[0].0 - (a[2].0 - a[1].0)).abs() < 0.2, "equal ratios are equally far: {a:?}");
        assert!(a.iter().zip(&b).all(|(a, b)| a.0 == b.0 && b.1 < a.1), "more is higher: {a:?} {b:?}");
        assert!(svg.contains(">a<") && svg.contains(">b<"), "two lines need a legend");
    }

    #[test]
    fn marks_are_short() {
        assert_eq!([0.2, 0.25, 4.0, 1_000.0, 0.0].map(short), ["0.2", "0.25", "4", "1,000", "0"]);
    }

    #[test]
    fn every_element_is_closed() {
        for svg in
            [bars(Vec::new()).svg(), bars(vec![Bar { name: "x".into(), value: 0.0, range: None }]).svg()]
        {
            assert!(svg.starts_with("<svg ") && svg.ends_with("</svg>\n"));
            assert!(svg.lines().all(|line| !line.contains("NaN") && !line.contains("inf")), "{svg}");
            assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        }
    }
}
