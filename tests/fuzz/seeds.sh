#!/bin/sh
# Places for seeds, and those for `peft` and `gguf` that no fixture is by itself.
cd "$(dirname "$0")" && mkdir -p corpus/peft corpus/lycoris corpus/gguf || exit 1

# le NUMBER BYTES: little-endian.
le() (
  number=$1 bytes=$2
  while [ "$bytes" -gt 0 ]; do
    printf "\\$(printf %03o $((number % 256)))"
    number=$((number / 256)) bytes=$((bytes - 1))
  done
)

# A PEFT folder: length of the config in two bytes, config, tensors.
for case in ../fixtures/adapters/peft-*; do
  config="$case/adapter_config.json"
  {
    le "$(wc -c < "$config")" 2
    cat "$config" "$case/adapter_model.safetensors"
  } > "corpus/peft/$(basename "$case")"
done

text() { le ${#1} 8 && printf %s "$1"; }
setting() { text "$1" && le 8 4 && text "$2"; }
# info NAME COLUMNS ROWS OFFSET: a tensor of F32 numbers.
info() { text "$1" && le 2 4 && le "$2" 8 && le "$3" 8 && le 0 4 && le "$4" 8; }

# A GGUF adapter of rank 2 on a weight of 4 rows and 3 columns.
for weight in attn_q ffn_up; do
  seed="corpus/gguf/$weight"
  {
    printf GGUF && le 3 4 && le 2 8 && le 4 8
    setting general.architecture llama && setting general.type adapter
    setting adapter.type lora
    text adapter.lora.alpha && le 6 4 && le 1065353216 4
    info "blk.0.$weight.weight.lora_a" 3 2 0 && info "blk.0.$weight.weight.lora_b" 2 4 32
  } > "$seed"
  padding=$(((32 - $(wc -c < "$seed") % 32) % 32))
  le 0 $((padding + 64)) >> "$seed"
done
