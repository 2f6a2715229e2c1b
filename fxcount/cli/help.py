"""What ``fxcount --help`` prints."""

HELP = """\
usage: fxcount [MODEL] [OPTION ...]      what a PyTorch model costs, and where
MODEL: torchvision/NAME, timm/NAME, hf/CONFIG.json, hf/ORG/NAME, FILE.py:NAME,
  PROGRAM.pt2, MODULE:CALLABLE; arguments go in parentheses, weights are not
  loaded. No MODEL is the worked example of the tutorial.
  --input [NAME=]SHAPE[:DTYPE]   1,3,224,224 or ids=1,128:int64; once per input
  --at NAME=N,..., --dtype D     numbers for names in --input batch,3; bfloat16
  --by node|module|operator      what a row is; of memory also kind or tensor
  --depth N, --top N, --all      modules to this depth; the N largest rows; all
  --convention C, --units U      what FLOPs are: multiplications (macs + mul),
                                 macs, torch, arithmetic, macs=2; exact, G
  --format F, --output FILE      table, github, csv, json, html; in FILE
  --backward, --optimizer NAME   the backward pass too; a step, as of adamw
  --bytes, --memory, --device D  bytes moved; held; its time at best, on L4
  --memory --device D --seconds S    a step; its share of the peak if it took S
  --prompt N --generate N, --batch N    a language model that generates, step
                                 by step; with --device what it serves at best
  --explain NODE, --compare M    why it costs that; two models side by side
  --mesh dp=16,tp=8              what one rank of a hf/ model does and sends
  --max-flops N, --max-params N, --max-memory SIZE    exit 1 above 5G or 24GiB
  --strict, --quiet, --version   exit 3 if any is uncounted; print errors only
examples:
  fxcount torchvision/resnet18 --by module --depth 2
  fxcount timm/vit_tiny_patch16_224 --max-flops 2G --max-params 30M --quiet
"""
