"""What ``fxcount --help`` prints."""

HELP = """\
usage: fxcount [MODEL] [OPTION ...]      what a PyTorch model costs, and where
MODEL: torchvision/NAME, timm/NAME, hf/CONFIG.json, FILE.py:NAME, PROGRAM.pt2,
  MODULE:CALLABLE; arguments go in parentheses; it is built without weights.
  No MODEL is the worked example of the tutorial.
  --input [NAME=]SHAPE[:DTYPE]   1,3,224,224 or ids=1,128:int64; once per input
  --at NAME=N,...                numbers for names in --input batch,3:int64
  --by node|module|operator      what a row is; of memory also kind or tensor
  --depth N, --top N             modules to this depth; only the N largest rows
  --convention C                 what FLOPs are: multiplications (macs + mul),
                                 macs, torch, arithmetic, or as macs=2,add=1
  --format F                     table, github, csv, json or html
  --output FILE                  write to FILE, in the format of its ending
  --backward, --optimizer NAME   the backward pass too; a step, as of adamw
  --bytes, --memory, --device D  bytes moved; held; its time at best, on L4
  --explain NODE                 why a node or a module costs what it costs
  --compare MODEL                both, module by module; --input is for both
  --max-flops N, --max-params N, --max-memory SIZE    exit 1 above 5G or 24GiB
  --strict, --quiet              exit 1 if any is uncounted; print errors only
  --help, --version              this; which version this is
examples:
  fxcount torchvision/resnet18 --by module --depth 2
  fxcount 'torch.nn:Linear(4, 3)' --input 2,4 --explain linear
  fxcount timm/vit_tiny_patch16_224 --max-flops 2G --max-params 30M --quiet
"""
