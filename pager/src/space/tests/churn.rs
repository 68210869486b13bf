//! Steady workloads.
