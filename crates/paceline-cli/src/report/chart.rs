//! Drawing: series over time, stacks over time, and bars beside their names, each as an SVG.

use anyhow::{Result, anyhow};
use plotters::prelude::*;

/// Colours that people with any colour vision can tell apart, after Okabe and Ito, "Color Universal Design" (2008).
pub(super) mod colour {
    use plotters::style::RGBColor;

    pub(in crate::report) const BLUE: RGBColor = RGBColor(0, 114, 178);
    pub(in crate::report) const ORANGE: RGBColor = RGBColor(230, 159, 0);
    pub(in crate::report) const GREEN: RGBColor = RGBColor(0, 158, 115);
    pub(in crate::report) const RED: RGBColor = RGBColor(213, 94, 0);
    pub(in crate::report) const PURPLE: RGBColor = RGBColor(204, 121, 167);
    pub(in crate::report) const SKY: RGBColor = RGBColor(86, 180, 233);
    pub(in crate::report) const DARK: RGBColor = RGBColor(60, 60, 60);
    pub(super) const TEXT: RGBColor = RGBColor(51, 51, 51);
    pub(super) const MESH: RGBColor = RGBColor(226, 226, 226);
}

/// In the SVG's own units; the page scales it.
const SIZE: (u32, u32) = (960, 300);
const FONT: (&str, i32) = ("sans-serif", 17);

/// Time and something else.
pub(super) struct Axes {
    pub(super) time: Time,
    pub(super) y: &'static str,
    /// Instants to mark, in seconds.
    pub(super) marks: Vec<f64>,
}

/// A length of time, with the unit that suits it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Time {
    pub(super) seconds: f64,
}

impl Time {
    fn unit(self) -> (f64, &'static str) {
        match self.seconds {
            ..=240.0 => (1.0, "seconds"),
            ..=14_400.0 => (60.0, "minutes"),
            _ => (3_600.0, "hours"),
        }
    }
}

/// What goes over time.
pub(super) struct Series {
    pub(super) name: String,
    pub(super) colour: RGBColor,
    pub(super) dashed: bool,
    /// Seconds and value; none is a gap.
    pub(super) points: Vec<Option<(f64, f64)>>,
}

/// Lines over time.
pub(super) fn lines(axes: &Axes, series: &[Series]) -> Result<String> {
    let most = series.iter().flat_map(|series| series.points.iter().flatten()).map(|(_, y)| *y).fold(0.0, f64::max);
    draw(axes, most, |chart, unit| {
        for Series { colour, dashed, points, .. } in series {
            let style = colour.stroke_width(2);
            for part in points.split(Option::is_none).filter(|part| !part.is_empty()) {
                let part = part.iter().flatten().map(|(x, y)| (x / unit, *y));
                if *dashed {
                    chart.draw_series(DashedLineSeries::new(part, 8, 5, style))?;
                } else {
                    chart.draw_series(LineSeries::new(part, style))?;
                }
            }
        }
        Ok(())
    })
}

/// Parts of the time, each `width` seconds wide and the last until the end, with what there was of each kind on top of the
/// other.
pub(super) fn stack(axes: &Axes, width: f64, colours: &[RGBColor], parts: &[Vec<f64>]) -> Result<String> {
    let most = parts.iter().map(|part| part.iter().sum()).fold(0.0, f64::max);
    draw(axes, most, |chart, unit| {
        for (at, part) in parts.iter().enumerate() {
            let end = if at + 1 < parts.len() { (at + 1) as f64 * width } else { axes.time.seconds };
            let (from, to) = (at as f64 * width / unit, end / unit);
            let mut below = 0.0;
            for (value, colour) in part.iter().zip(colours).filter(|(value, _)| **value > 0.0) {
                let area = [(from, below), (to, below + value)];
                chart.draw_series([Rectangle::new(area, colour.filled())])?;
                below += value;
            }
        }
        Ok(())
    })
}

type Chart<'a, 'b> = ChartContext<
    'a,
    SVGBackend<'b>,
    Cartesian2d<plotters::coord::types::RangedCoordf64, plotters::coord::types::RangedCoordf64>,
>;
type Drawn<T> = std::result::Result<T, DrawingAreaErrorKind<std::io::Error>>;

fn draw(axes: &Axes, most: f64, content: impl FnOnce(&mut Chart<'_, '_>, f64) -> Drawn<()>) -> Result<String> {
    let mut svg = String::new();
    let drawn = || -> Drawn<()> {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        let (unit, unit_name) = axes.time.unit();
        let top = if most > 0.0 { most * 1.08 } else { 1.0 };
        let mut builder = ChartBuilder::on(&root);
        builder.margin(10).margin_right(20).x_label_area_size(50).y_label_area_size(76);
        let mut chart = builder.build_cartesian_2d(0.0..(axes.time.seconds / unit).max(1e-3), 0.0..top)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .max_light_lines(0)
            .bold_line_style(colour::MESH)
            .axis_style(colour::TEXT)
            .x_labels(10)
            .y_labels(6)
            .x_label_formatter(&|x| number(*x))
            .y_label_formatter(&|y| number(*y))
            .label_style(FONT.into_font().color(&colour::TEXT))
            .axis_desc_style(FONT.into_font().color(&colour::TEXT))
            .x_desc(unit_name)
            .y_desc(axes.y)
            .draw()?;
        content(&mut chart, unit)?;
        for mark in &axes.marks {
            let line = [(mark / unit, 0.0), (mark / unit, top)];
            chart.draw_series(DashedLineSeries::new(line, 2, 4, colour::DARK.stroke_width(1)))?;
        }
        root.present()
    };
    drawn().map_err(|error| anyhow!("cannot draw: {error}"))?;
    Ok(svg)
}

/// A name, what it comes to as a share of the longest bar, and that in words.
pub(super) struct Bar {
    pub(super) name: String,
    pub(super) share: f64,
    pub(super) words: String,
    pub(super) colour: RGBColor,
}

/// Bars beside their names; `whole` marks the share 1 where that means something.
pub(super) fn bars(bars: &[Bar], whole: bool) -> Result<String> {
    const NAME: i32 = 250;
    const ROW: i32 = 34;
    const WORDS: i32 = 240;
    let mut svg = String::new();
    let rows = i32::try_from(bars.len()).unwrap_or(i32::MAX / ROW).min(1_000);
    let (width, height) = (SIZE.0 as i32, rows * ROW + 12);
    let mut drawn = || -> Drawn<()> {
        let root = SVGBackend::with_string(&mut svg, (SIZE.0, height as u32)).into_drawing_area();
        let most = bars.iter().map(|bar| bar.share).fold(if whole { 1.0 } else { f64::MIN_POSITIVE }, f64::max);
        let room = f64::from(width - NAME - WORDS);
        let font = FONT.into_font().color(&colour::TEXT);
        for (bar, row) in bars.iter().zip(0..rows) {
            let (top, middle) = (row * ROW + 8, row * ROW + 16);
            let end = NAME + (bar.share / most * room).round() as i32;
            root.draw(&Rectangle::new([(NAME, top), (end.max(NAME + 1), top + 20)], bar.colour.filled()))?;
            root.draw(&Text::new(shortened(&bar.name), (0, middle - 5), font.clone()))?;
            root.draw(&Text::new(bar.words.clone(), (width - WORDS + 14, middle - 5), font.clone()))?;
        }
        if whole {
            let at = NAME + (room / most).round() as i32;
            root.draw(&PathElement::new([(at, 2), (at, height - 2)], colour::DARK.stroke_width(2)))?;
        }
        root.present()
    };
    drawn().map_err(|error| anyhow!("cannot draw: {error}"))?;
    Ok(svg)
}

/// As long as fits beside a bar.
fn shortened(name: &str) -> String {
    const MOST: usize = 32;
    if name.chars().count() <= MOST { name.to_owned() } else { name.chars().take(MOST - 1).chain(['…']).collect() }
}

/// As an axis shows it: `0.25`, `12`, `1,500`, `2.5 M`.
pub(super) fn number(number: f64) -> String {
    let (scaled, unit) = match number.abs() {
        1e6.. => (number / 1e6, " M"),
        _ => (number, ""),
    };
    if scaled >= 1_000.0 {
        return format!("{}{unit}", crate::screen::grouped(scaled.round() as u64));
    }
    let text = format!("{scaled:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_read_easily() {
        let cases = [(0.0, "0"), (0.25, "0.25"), (12.0, "12"), (1_500.0, "1,500"), (2_500_000.0, "2.5 M")];
        assert!(cases.iter().all(|(value, text)| number(*value) == *text));
    }

    #[test]
    fn names_are_text_and_no_markup() {
        let bar = Bar { name: "<script>x".into(), share: 0.5, words: "a & b".into(), colour: colour::BLUE };
        let svg = bars(&[bar], true).unwrap();
        assert!(svg.contains("&lt;script") && !svg.contains("<script") && svg.contains("a &amp; b"), "{svg}");
    }

    #[test]
    fn nothing_at_all_can_be_drawn() {
        let axes = Axes { time: Time { seconds: 0.0 }, y: "", marks: Vec::new() };
        assert!(lines(&axes, &[]).unwrap().contains("<svg") && stack(&axes, 1.0, &[], &[]).unwrap().contains("<svg"));
        assert!(bars(&[], false).unwrap().contains("<svg"));
    }
}
