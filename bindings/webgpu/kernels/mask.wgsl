// Declares the mask and masked(), which applies it to a score. The struct of the kernel ends with maskOffset,
// maskOuter, maskInner, maskToken: elements before the first one, and from one batch row, head, token to the
// next.
//
// mask: none; keys, a key mask [B | 1, L] of ones and zeros; or additive, [B | 1, heads | 1, N | 1, L],
// float32.

// The score of a hidden key: the lowest finite number. All other scores are larger. WGSL implementations may
// assume that infinities do not occur (WGSL, section 15.7.2).
const hidden = -3.4028234e38;
const lowest = -3.402e38;

#if mask == none
fn masked(score: f32, outer: u32, inner: u32, token: u32, key: u32) -> f32 {
  return max(score, lowest);
}
#else
@group(0) @binding(${maskBinding}) var<storage, read> mask: array<u32>;

fn masked(score: f32, outer: u32, inner: u32, token: u32, key: u32) -> f32 {
  let bits = mask[p.maskOffset + outer * p.maskOuter + inner * p.maskInner + token * p.maskToken + key];
#if mask == keys
  return select(hidden, max(score, lowest), bits != 0u);
#else
  // Only the bits of -infinity hide a key; -FLT_MAX, which some libraries write instead, is an ordinary
  // number.
  return select(max(score + bitcast<f32>(bits), lowest), hidden, bits == 0xff800000u);
#end
}
#end
