#!/bin/sh
# Seeds of the target `peft` from the fixtures: length of the config in two bytes, config, tensors.
cd "$(dirname "$0")" && mkdir -p corpus/peft || exit 1
for case in ../fixtures/adapters/peft-*; do
  config="$case/adapter_config.json"
  length=$(wc -c < "$config")
  {
    printf "\\$(printf %03o $((length % 256)))\\$(printf %03o $((length / 256)))"
    cat "$config" "$case/adapter_model.safetensors"
  } > "corpus/peft/$(basename "$case")"
done
