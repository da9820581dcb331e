//! One container: what it is told, the helper process that runs it, and what is left to read of it.
