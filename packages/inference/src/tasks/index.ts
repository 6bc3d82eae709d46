/** The tasks of the benchmark of simulation-based inference, an entry of its own. */
export {};
