//! The order in which Java walks its hash tables, for messages that list what DynamoDB has collected in one.

/// How many buckets a table begins with that is not told how much it will hold.
const BUCKETS: usize = 16;

/// The names without repetitions as a `HashMap` made for as many has them.
pub(crate) fn map_order<'a>(names: &[&'a str]) -> Vec<&'a str> {
    order(names, |count| count.max(1).next_power_of_two())
}

/// The names without repetitions as a `HashSet` that has grown by them has them.
pub(crate) fn set_order<'a>(names: &[&'a str]) -> Vec<&'a str> {
    order(names, |_| BUCKETS)
}

/// By their buckets, and by the order they came in within one.
fn order<'a>(names: &[&'a str], first_buckets: impl Fn(usize) -> usize) -> Vec<&'a str> {
    let mut ordered: Vec<&str> = Vec::with_capacity(names.len());
    for name in names {
        if !ordered.contains(name) {
            ordered.push(name);
        }
    }
    let mut buckets = first_buckets(ordered.len());
    // It doubles whenever it is more than three quarters full.
    while ordered.len() * 4 > buckets * 3 {
        buckets *= 2;
    }
    ordered.sort_by_key(|name| bucket(name, buckets));
    ordered
}

/// `buckets` is a power of two.
fn bucket(name: &str, buckets: usize) -> usize {
    let hash = name.encode_utf16().fold(0_u32, |hash, unit| hash.wrapping_mul(31).wrapping_add(u32::from(unit)));
    (hash ^ (hash >> 16)) as usize & (buckets - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_by_their_hashes() {
        // "a" to "e" hash to 97 to 101; "pk" to 3579, which is bucket 3 of 8 and 11 of 16.
        assert_eq!(map_order(&["e", "d", "c", "b", "a", "a"]), ["a", "b", "c", "d", "e"]);
        assert_eq!(map_order(&["d", "pk", "c", "a", "e"]), ["a", "pk", "c", "d", "e"]);
        assert_eq!(set_order(&["d", "pk", "c", "a", "e"]), ["a", "c", "d", "e", "pk"]);
    }
}
