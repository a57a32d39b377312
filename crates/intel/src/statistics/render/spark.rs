//! A row of figures as one line of small bars.

use super::super::Figure;

const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// Where nothing is known.
const GAP: char = '·';

/// One character a figure; a dot where it is unknown, the lowest bar for 0.
pub(super) fn line<'a>(figures: impl Iterator<Item = &'a Figure> + Clone) -> String {
    let most = figures.clone().filter_map(|figure| figure.value).max().unwrap_or(0).max(1);
    let bar = |value: u64| {
        let step = usize::try_from(u128::from(value) * (BARS.len() as u128 - 1) / u128::from(most)).unwrap_or(0);
        BARS.get(step).copied().unwrap_or('█')
    };
    figures.map(|figure| figure.value.map_or(GAP, bar)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_high_as_figures_and_gaps_stay_gaps() {
        let of = |values: &[Option<u64>]| {
            let figures: Vec<Figure> =
                values.iter().map(|value| value.map_or(Figure::UNKNOWN, Figure::counted)).collect();
            line(figures.iter())
        };
        assert_eq!(of(&[Some(0), None, Some(7), Some(14)]), "▁·▄█");
        assert_eq!(of(&[None, None]), "··");
        assert_eq!(of(&[Some(0), Some(0)]), "▁▁");
        assert_eq!(of(&[Some(u64::MAX), Some(u64::MAX / 2)]), "█▄");
    }
}
