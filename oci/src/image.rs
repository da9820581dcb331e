//! Images in a directory: content-addressed, unpacked once, shared by every container.
