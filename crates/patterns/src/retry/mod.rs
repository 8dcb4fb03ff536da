//! Retries: calls that are made again, streams that are restarted or resumed.
