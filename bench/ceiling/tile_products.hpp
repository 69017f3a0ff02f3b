#pragma once

/// Products of one full tile: the microkernel as the layer calls it, on panels that stay in the first-level cache.
/// Functions with C's names, so that JavaScript calls them without a binding.
extern "C" {

/// Floating-point operations of one product: 2 · kTileRows · kTileColumns · depth.
double flopsOfTileFloat32();
double flopsOfTileFloat64();

void multiplyTilesFloat32(int count);
void multiplyTilesFloat64(int count);

/// The sum of the last tile: what has to come out is rows · columns · depth / 4.
double sumOfTileFloat32();
double sumOfTileFloat64();

}  // extern "C"
