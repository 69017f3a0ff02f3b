#pragma once

/// Products of one full tile: the microkernel as the layer calls it, on panels that stay in the first-level
/// cache. The functions have C linkage, so that JavaScript calls them without bindings.
extern "C" {

/// Floating-point operations of one product: 2 · kTileRows · kTileColumns · depth.
double flopsOfTileFloat32();
double flopsOfTileFloat64();

void multiplyTilesFloat32(int count);
void multiplyTilesFloat64(int count);

/// Returns the sum of the last tile. The expected value is rows · columns · depth / 4.
double sumOfTileFloat32();
double sumOfTileFloat64();

}  // extern "C"
