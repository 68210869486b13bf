//! Logarithmic scales: from one power of ten to another.

/// A range of whole powers of ten.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Decades {
    pub(crate) low: f64,
    pub(crate) high: f64,
}

impl Decades {
    /// The least powers of ten around these values; those that are not positive have no place.
    pub(crate) fn around(values: impl Iterator<Item = f64>) -> Decades {
        let (mut low, mut high) = (f64::INFINITY, 0.0_f64);
        for value in values.filter(|value| *value > 0.0 && value.is_finite()) {
            low = low.min(value);
            high = high.max(value);
        }
        if high == 0.0 {
            return Decades { low: 1.0, high: 10.0 };
        }
        let (low, high) = (low.log10().floor(), high.log10().ceil());
        Decades { low: 10_f64.powf(low), high: 10_f64.powf(high.max(low + 1.0)) }
    }

    /// Where a value lies between the two ends: 0 to 1.
    pub(crate) fn place(&self, value: f64) -> f64 {
        let span = self.high.log10() - self.low.log10();
        ((value.max(self.low).log10() - self.low.log10()) / span).clamp(0.0, 1.0)
    }

    /// The powers of ten, both ends included.
    pub(crate) fn ticks(&self) -> Vec<f64> {
        let (low, high) = (self.low.log10().round() as i32, self.high.log10().round() as i32);
        (low..=high).map(|power| 10_f64.powi(power)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::Decades;

    #[test]
    fn whole_decades_around_what_there_is() {
        let decades = Decades::around([48.0, 1514.0, 0.0].into_iter());
        assert_eq!((decades.low, decades.high), (10.0, 10_000.0));
        assert_eq!(decades.ticks(), [10.0, 100.0, 1000.0, 10_000.0]);
        assert_eq!((decades.place(10.0), decades.place(1.0)), (0.0, 0.0));
        assert!((decades.place(1000.0) - 2.0 / 3.0).abs() < 1e-9);
        assert_eq!(Decades::around([100.0].into_iter()).high, 1000.0);
        assert_eq!(Decades::around(std::iter::empty()).ticks(), [1.0, 10.0]);
    }
}
