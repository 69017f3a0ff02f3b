#include "tile_products.hpp"

#include <array>
#include <numeric>

#include "linalg/microkernel.hpp"

#ifdef __EMSCRIPTEN__
#include <emscripten/emscripten.h>
#else
#define EMSCRIPTEN_KEEPALIVE
#endif

namespace {

using cross_attention::Index;
using cross_attention::linalg::kTileColumns;
using cross_attention::linalg::kTileRows;
using cross_attention::linalg::multiplyTiles;
using cross_attention::linalg::Start;

/// The depth of a product with 320-channel weights. Both panels together occupy 18 KiB.
template <class T>
constexpr Index kDepth = 320 * static_cast<Index>(sizeof(float)) / static_cast<Index>(sizeof(T));

template <class T, Index Size>
constexpr std::array<T, static_cast<std::size_t>(Size)> halves() {
  std::array<T, static_cast<std::size_t>(Size)> values{};
  values.fill(T(0.5));
  return values;
}

template <class T>
struct Panels {
  alignas(64) std::array<T, kTileRows<T> * kDepth<T>> rows = halves<T, kTileRows<T> * kDepth<T>>();
  alignas(64) std::array<T, kTileColumns<T> * kDepth<T>> columns = halves<T, kTileColumns<T> * kDepth<T>>();
  alignas(64) std::array<T, kTileRows<T> * kTileColumns<T>> tile{};
};

template <class T>
Panels<T> panels;

template <class T>
void multiplyTiles(int count) {
  multiplyTiles<T>({.tiles = count,
                    .rows = kTileRows<T>,
                    .depth = kDepth<T>,
                    .rowPanel = panels<T>.rows.data(),
                    .rowPanelStep = 0,
                    .columnPanel = panels<T>.columns.data(),
                    .columnPanelStep = 0,
                    .destination = panels<T>.tile.data(),
                    .destinationStep = 0,
                    .rowStride = kTileColumns<T>,
                    .start = Start::kZero,
                    .bias = nullptr,
                    .biasStep = 0});
}

template <class T>
constexpr double kFlopsOfTile = 2.0 * kTileRows<T>* kTileColumns<T>* kDepth<T>;

template <class T>
double sumOfTile() {
  return std::accumulate(panels<T>.tile.begin(), panels<T>.tile.end(), 0.0);
}

}  // namespace

EMSCRIPTEN_KEEPALIVE double flopsOfTileFloat32() { return kFlopsOfTile<float>; }
EMSCRIPTEN_KEEPALIVE double flopsOfTileFloat64() { return kFlopsOfTile<double>; }
EMSCRIPTEN_KEEPALIVE void multiplyTilesFloat32(int count) { multiplyTiles<float>(count); }
EMSCRIPTEN_KEEPALIVE void multiplyTilesFloat64(int count) { multiplyTiles<double>(count); }
EMSCRIPTEN_KEEPALIVE double sumOfTileFloat32() { return sumOfTile<float>(); }
EMSCRIPTEN_KEEPALIVE double sumOfTileFloat64() { return sumOfTile<double>(); }
