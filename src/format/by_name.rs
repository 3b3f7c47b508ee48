//! Maps that cost little wasm.

use std::collections::BTreeMap;

use crate::Result;

/// What `collect` does, one by one: that sorts first, and each sort of another type takes five
/// kilobytes of the wasm.
pub(super) fn by_name<V>(
    pairs: impl IntoIterator<Item = Result<(String, V)>>,
) -> Result<BTreeMap<String, V>> {
    let mut map = BTreeMap::new();
    for pair in pairs {
        let (name, value) = pair?;
        map.insert(name, value);
    }
    Ok(map)
}
