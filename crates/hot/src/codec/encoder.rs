//! Estimate, choose, encode: which form a block takes.

use bytes::BufMut;
use hesper_model::BLOCK_SLOTS;
use hesper_model::block::ALL_SLOTS;

use super::divisors::nearest_integer;
use super::planes::{pack, packed_len, width_of};
use super::{
    BITS, BY_SLOT, CONSTANT, DELTA, DICTIONARY, Divisors, HAS_MASK, RAW, WHOLE, bits, constant,
    delta, dictionary, raw, whole,
};

/// With fewer slots lacking data, each of the sixty slots has an element.
const MAX_FILLED_GAPS: usize = 10;

/// Elements of so few bits are not worth a search for something shorter.
const NARROW: u8 = 4;

/// How a block will be encoded.
enum Plan {
    Constant(f64),
    Raw,
    Whole(whole::Fit),
    Delta { slope: i64, width: u8 },
    Dictionary(dictionary::Found),
    Bits { zeros: u8, base: u64, width: u8 },
}

/// Appends the cheapest form of a block: `values` are those of the slots in the mask.
#[inline(always)]
pub fn encode(mask: u64, values: &[f64], divisors: &Divisors, out: &mut Vec<u8>) {
    let place = Placement::of(mask, values.len());
    let fit = whole::estimate(values, divisors);
    let mut numerators = [0; BLOCK_SLOTS];
    if let Some(fit) = &fit {
        let divisor = divisors.get(fit.divisor);
        for (n, v) in numerators.iter_mut().zip(values) {
            *n = nearest_integer(v * divisor);
        }
    }
    let numerators = &numerators[..values.len()];
    let plan = match fit {
        Some(fit) => choose_whole(fit, values, numerators, &place),
        None => choose_double(values, &place),
    };
    let tag = match &plan {
        Plan::Constant(_) => CONSTANT,
        Plan::Raw => RAW,
        Plan::Whole(_) => WHOLE,
        Plan::Delta { .. } => DELTA,
        Plan::Dictionary(_) => DICTIONARY,
        Plan::Bits { .. } => BITS,
    };
    if mask == ALL_SLOTS {
        out.put_u8(tag);
    } else {
        out.put_u8(tag | HAS_MASK);
        out.put_u64_le(mask);
    }
    match plan {
        Plan::Constant(value) => out.put_f64_le(value),
        Plan::Raw => raw::encode(values, out),
        Plan::Whole(fit) => {
            whole::put_scale(fit.divisor, fit.base, out);
            let elements = numerators.iter().map(|n| n.abs_diff(fit.base));
            place.put(width_of(fit.spread), elements, out);
        }
        Plan::Delta { slope, width } => {
            let divisor = fit.expect("what has differences is whole").divisor;
            whole::put_scale(divisor, numerators[0], out);
            let length = whole::whole_len(slope);
            out.put_u8(length as u8);
            out.put_slice(&slope.to_le_bytes()[..length]);
            out.put_u8(width);
            let elements: Vec<u64> = delta::elements(numerators, slope).collect();
            pack(&elements, width, out);
        }
        Plan::Dictionary(found) => {
            dictionary::put_entries(found.entries(), out);
            let places = found.places[..values.len()].iter();
            place.put(found.width(), places.map(|p| u64::from(*p)), out);
        }
        Plan::Bits { zeros, base, width } => {
            out.put_u8(zeros);
            out.put_u64_le(base);
            place.put(width, bits::elements(values, zeros, base), out);
        }
    }
}

/// Whole numbers, unless something shorter is worth being slower to fold.
#[inline(always)]
fn choose_whole(fit: whole::Fit, values: &[f64], numerators: &[i64], place: &Placement) -> Plan {
    let width = width_of(fit.spread);
    if width <= NARROW {
        return Plan::Whole(fit);
    }
    let mut shortest = 2 + whole::whole_len(fit.base) + place.len(width);
    let most_entries = shortest * 3 / 4 / 8;
    let mut plan = Plan::Whole(fit);
    let mut consider = |length: usize, other: Plan| {
        // Once another has won, the shorter wins.
        let pays = match &plan {
            Plan::Whole(_) => length * 4 <= shortest * 3,
            _ => length < shortest,
        };
        if pays {
            (shortest, plan) = (length, other);
        }
    };
    if let Some((slope, width)) = delta::estimate(numerators) {
        let length = packed_len(width, numerators.len() - 1);
        let lengths = whole::whole_len(numerators[0]) + whole::whole_len(slope);
        consider(3 + lengths + length, Plan::Delta { slope, width });
    }
    // With more entries it could not win.
    if let Some(found) = dictionary::estimate(values, most_entries) {
        consider(place.dictionary_len(&found), Plan::Dictionary(found));
    }
    plan
}

/// Doubles that are no whole numbers.
#[inline(always)]
fn choose_double(values: &[f64], place: &Placement) -> Plan {
    if let Some(value) = constant::estimate(values) {
        return Plan::Constant(value);
    }
    let raw = 8 * values.len();
    let (zeros, base, width) = bits::estimate(values);
    let bits = 10 + place.len(width);
    let found = dictionary::estimate(values, bits.min(raw) / 8);
    match found {
        Some(found) if place.dictionary_len(&found) < bits.min(raw) => Plan::Dictionary(found),
        _ if bits < raw => Plan::Bits { zeros, base, width },
        _ => Plan::Raw,
    }
}

/// Where the elements of a block lie: one after another, or each at its slot.
struct Placement {
    mask: u64,
    count: usize,
    by_slot: bool,
}

impl Placement {
    const fn of(mask: u64, values: usize) -> Self {
        let gaps = BLOCK_SLOTS - values;
        let by_slot = gaps > 0 && gaps <= MAX_FILLED_GAPS;
        Self {
            mask,
            count: if by_slot { BLOCK_SLOTS } else { values },
            by_slot,
        }
    }

    /// Bytes of elements.
    fn len(&self, width: u8) -> usize {
        packed_len(width, self.count)
    }

    fn dictionary_len(&self, found: &dictionary::Found) -> usize {
        2 + 8 * found.entries().len() + self.len(found.width())
    }

    /// Appends a width and the elements of the slots with data.
    #[inline(always)]
    fn put(&self, width: u8, elements: impl Iterator<Item = u64>, out: &mut Vec<u8>) {
        let mut placed = [0; BLOCK_SLOTS];
        if self.by_slot {
            let mut left = self.mask;
            for element in elements {
                placed[left.trailing_zeros() as usize] = element;
                left &= left - 1;
            }
            out.put_u8(width | BY_SLOT);
        } else {
            for (to, element) in placed.iter_mut().zip(elements) {
                *to = element;
            }
            out.put_u8(width);
        }
        pack(&placed[..self.count], width, out);
    }
}
