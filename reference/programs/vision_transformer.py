"""A vision transformer on small patches, cut by Unfold and by einsum; attention of nn and of one's own; warm-up."""

from typing import Optional

import torch
import torch.nn.functional as F
from torch import einsum, nn


def pair(t):
    return t if isinstance(t, tuple) else (t, t)


class FeedForward(nn.Module):
    def __init__(self, dim, hidden_dim, dropout=0.0):
        super().__init__()
        self.net = nn.Sequential(
            nn.LayerNorm(dim), nn.Linear(dim, hidden_dim), nn.GELU(approximate="tanh"), nn.Dropout(dropout),
            nn.Linear(hidden_dim, dim), nn.Dropout(dropout),
        )  # fmt: skip

    def forward(self, x):
        return self.net(x)


class Attention(nn.Module):
    def __init__(self, dim, heads=2, dim_head=8, dropout=0.0):
        super().__init__()
        inner_dim = dim_head * heads
        self.heads, self.scale = heads, dim_head**-0.5
        self.norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, inner_dim * 3, bias=False)
        self.to_out = nn.Sequential(nn.Linear(inner_dim, dim), nn.Dropout(dropout))

    def forward(self, x, mask: Optional[torch.Tensor] = None):
        b, n, _ = x.shape
        q, k, v = (
            t.reshape(b, n, self.heads, -1).permute(0, 2, 1, 3) for t in self.to_qkv(self.norm(x)).chunk(3, dim=-1)
        )
        dots = einsum("b h i d, b h j d -> b h i j", q, k) * self.scale
        if mask is not None:
            dots.masked_fill_(~mask, -torch.finfo(dots.dtype).max)
        attn = dots.softmax(dim=-1)
        out = einsum("bhij,bhjd->bhid", attn, v)
        return self.to_out(out.transpose(1, 2).flatten(2))


class ViT(nn.Module):
    def __init__(self, *, image_size, patch_size, num_classes, dim, depth, pool="cls", channels=3):
        super().__init__()
        (height, width), (ph, pw) = pair(image_size), pair(patch_size)
        assert (height * width) % (ph * pw) == 0, "Image dimensions must be divisible by the patch size."
        assert pool in {"cls", "mean"}
        self.unfold = nn.Unfold(kernel_size=(ph, pw), stride=(ph, pw))
        self.to_patch_embedding = nn.Linear(channels * ph * pw, dim)
        self.pos_embedding = nn.Parameter(torch.randn(1, (height // ph) * (width // pw) + 1, dim))
        self.cls_token = nn.Parameter(torch.randn(1, 1, dim))
        self.layers = nn.ModuleList([])
        for i in range(depth):
            attention = Attention(dim) if i % 2 == 0 else nn.MultiheadAttention(dim, 2, batch_first=True)
            self.layers.append(nn.ModuleList([attention, FeedForward(dim, dim * 2, 0.1)]))
        self.pool = pool
        self.mlp_head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, num_classes))

    def forward(self, img):
        x = self.to_patch_embedding(self.unfold(img).transpose(1, 2))
        b, n, _ = x.shape
        x = torch.cat((self.cls_token.expand(b, -1, -1), x), dim=1)
        x += self.pos_embedding[:, : (n + 1)]
        for attn, ff in self.layers:
            if isinstance(attn, nn.MultiheadAttention):
                x = attn(x, x, x, need_weights=False)[0] + x
            else:
                x = attn(x) + x
            x = ff(x) + x
        x = x.mean(dim=1) if self.pool == "mean" else x[:, 0]
        return self.mlp_head(x)


def main():
    torch.manual_seed(0)
    model = ViT(image_size=(8, 16), patch_size=4, num_classes=4, dim=16, depth=2)
    encoder = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(16, 2, 32, dropout=0.1, activation="gelu", batch_first=True, norm_first=True),
        num_layers=2,
        enable_nested_tensor=False,
    )
    print(model)
    print(sum(p.numel() for p in model.parameters() if p.requires_grad), sum(p.numel() for p in encoder.parameters()))
    images, labels = torch.randn(64, 3, 8, 16), torch.randint(4, (64,))
    images[torch.arange(64), labels % 3, :, 4:12] += labels[:, None, None].float()
    optimizer = torch.optim.AdamW([*model.parameters(), *encoder.parameters()], lr=3e-3, betas=(0.9, 0.98), eps=1e-6)
    warmup = torch.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.1, total_iters=4)
    cosine = torch.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=10, power=0.9)
    scheduler = torch.optim.lr_scheduler.ChainedScheduler([warmup, cosine])
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    for step in range(8):
        model.train()
        for x, y in zip(images.split(32), labels.split(32)):
            logits = model(x)
            patches = encoder(model.to_patch_embedding(model.unfold(x).mT))
            loss = criterion(logits, y) + 0.01 * patches.pow(2).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scheduler.step()
        print(f"step {step} loss {loss.item():.4f} lr {optimizer.param_groups[0]['lr']:.6f}")
    model.eval()
    with torch.inference_mode():
        probs = F.softmax(model(images), -1)
        values, indices = probs.topk(2)
        print(f"accuracy {(indices[:, 0] == labels).float().mean().item():.4f} confidence {values[:, 0].mean():.4f}")


if __name__ == "__main__":
    main()
