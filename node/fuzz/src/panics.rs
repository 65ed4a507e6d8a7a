//! Panics of an input: caught, with where they were, and without a word on standard error for each of thousands.

use std::{
    cell::{Cell, RefCell},
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

thread_local! {
    static CATCHING: Cell<bool> = const { Cell::new(false) };
    static TEXT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// What `work` gives, or the panic it ends in, as it would have been printed.
pub(crate) fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if CATCHING.get() {
                TEXT.set(Some(info.to_string()));
            } else {
                others(info);
            }
        }));
    });
    CATCHING.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    CATCHING.set(false);
    outcome.map_err(|_| TEXT.take().unwrap_or_else(|| "a panic without a text".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place() {
        let text = caught(|| panic!("no {}", 7)).unwrap_err();
        assert!(text.contains("no 7") && text.contains("panics.rs"), "{text}");
        assert_eq!(caught(|| 7), Ok(7));
    }
}
