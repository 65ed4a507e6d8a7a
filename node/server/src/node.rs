//! A storage node's engine, log and driver over its data folder, as the roles `dev` and `storage` both have it.

