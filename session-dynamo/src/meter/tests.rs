use super::*;

fn half() -> ConsumedCapacity {
    ConsumedCapacity::builder().capacity_units(0.5).build()
}

#[test]
fn halves_are_summed_and_refusals_reckoned() {
    let (meter, told) = (Meter::default(), half());
    for _ in 0..3 {
        assert!((meter.add(Operation::Load, Use::Read, Some(&told)) - 0.5).abs() < 1e-9);
    }
    meter.add_refused(Operation::Save, None);
    let large = Attributes::from([("d".to_owned(), item::bytes(vec![0; 1_024]))]);
    meter.add_refused(Operation::Save, Some(&large));
    let expected = Consumed { read_units: 1.5, write_units: 3.0, requests: 5 };
    assert_eq!(meter.consumed(), expected);
}

#[cfg(feature = "metrics")]
mod metric {
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder, SharedString,
        Unit,
    };

    use super::*;

    type Records = Arc<Mutex<Vec<(String, f64)>>>;

    #[derive(Default)]
    struct Recorded(Records);

    struct Series(String, Records);

    impl HistogramFn for Series {
        fn record(&self, value: f64) {
            self.1.lock().unwrap().push((self.0.clone(), value));
        }
    }

    impl Recorder for Recorded {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, _: &Key, _: &Metadata<'_>) -> Counter {
            Counter::noop()
        }

        fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::noop()
        }

        fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
            let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
            let series = Series(
                [key.name().to_owned()].into_iter().chain(labels).collect(),
                Arc::clone(&self.0),
            );
            Histogram::from_arc(Arc::new(series))
        }
    }

    #[test]
    fn each_request_is_recorded_with_the_operation_that_it_is_for() {
        let (recorded, meter) = (Recorded::default(), Meter::default());
        metrics::with_local_recorder(&recorded, || {
            meter.add(Operation::Load, Use::Read, Some(&half()));
            meter.add_refused(Operation::Lock, None);
        });
        let name = "session_dynamodb_consumed_units";
        let expected = [
            (format!("{name} operation=load use=read"), 0.5),
            (format!("{name} operation=lock use=write"), 1.0),
        ];
        assert_eq!(*recorded.0.lock().unwrap(), expected);
    }
}
