//! What the three layers have in common.

/// The methods by which an `InstrumentLayer { plan, observe }` is built, and those that the three
/// `Instrument`s share. With the field that only some of those have.
macro_rules! builder {
    ($($field:ident: $value:expr)?) => {
        impl InstrumentLayer {
            /// A stage of this name, with a meter of its own.
            pub fn new(name: &'static str) -> Self {
                InstrumentLayer { plan: Plan::new(name), observe: Items }
            }
        }

        impl<O, T> InstrumentLayer<O, T> {
            /// Counts into `meter`. All that the layer wraps counts together.
            pub fn with_meter(mut self, meter: &Meter) -> Self {
                self.plan.meter = meter.clone();
                self
            }

            /// The meter, to read it.
            pub fn meter(&self) -> Meter {
                self.plan.meter.clone()
            }

            /// Counts bytes: `size` says how many an item has.
            pub fn bytes<F>(self, size: F) -> InstrumentLayer<Bytes<F, O>, T> {
                let observe = Bytes { size, other: self.observe };
                InstrumentLayer { plan: self.plan, observe }
            }

            /// Looks at items in a way of your own.
            pub fn observe<P>(self, observe: P) -> InstrumentLayer<P, T> {
                InstrumentLayer { plan: self.plan, observe }
            }

            /// Measures the time inside polls. That reads the clock twice per poll.
            pub fn busy_time(self) -> InstrumentLayer<O> {
                self.with_timer(DefaultTimer)
            }

            /// As [`busy_time`](Self::busy_time), with another timer.
            pub fn with_timer<U: Timer>(self, timer: U) -> InstrumentLayer<O, U> {
                InstrumentLayer { plan: self.plan.timed(timer), observe: self.observe }
            }

            /// Enters this span. Without it, each stage has one of its own: named `stage`, at the level
            /// `DEBUG`, with the name in its field `stage`.
            #[cfg(feature = "tracing")]
            #[cfg_attr(docsrs, doc(cfg(feature = "tracing")))]
            pub fn with_span(mut self, span: tracing::Span) -> Self {
                self.plan.span = Some(span);
                self
            }
        }

        impl<O, T> fmt::Debug for InstrumentLayer<O, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("InstrumentLayer").field("plan", &self.plan).finish_non_exhaustive()
            }
        }

        impl<S, O: Clone, T: Timer> Layer<S> for InstrumentLayer<O, T> {
            type Service = Instrument<S, O, T>;

            fn layer(&self, inner: S) -> Instrument<S, O, T> {
                let (stage, observe) = (self.plan.stage(), self.observe.clone());
                Instrument { inner, stage, observe, $($field: $value)? }
            }
        }

        impl<S: fmt::Debug, O, T> fmt::Debug for Instrument<S, O, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.debug_struct("Instrument")
                    .field("inner", &self.inner)
                    .field("stage", &self.stage)
                    .finish_non_exhaustive()
            }
        }

        impl<S, O, T> Instrument<S, O, T> {
            /// The meter, to read it.
            pub fn meter(&self) -> Meter {
                self.stage.meter.clone()
            }

            /// What is inside.
            pub fn into_inner(self) -> S {
                self.inner
            }

            /// What is inside.
            pub fn get_ref(&self) -> &S {
                &self.inner
            }
        }
    };
}

pub(super) use builder;
