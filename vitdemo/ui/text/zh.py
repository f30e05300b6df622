"""Simplified Chinese."""

TEXT = {
    "tagline": "看看视觉 Transformer 在看哪里，以及融合它们会带来什么变化",
    "copy_link": "复制链接",
    "copied": "已复制",
    "picture": "图片：拖入、粘贴或拍摄",
    "samples": "示例",
    "analyse": "分析",
    "analyse_about": "分析（约 {seconds} 秒）",
    "analyse_fetch": "分析（首次需下载 {megabytes} MB）",
    "cancel": "取消",
    "collection": "模型集",
    "collection.info": "同一集内的骨干网络识别相同的类别。",
    "collection.flowers": "花卉",
    "collection.imagenet": "ImageNet",
    "backbones": "骨干网络",
    "backbones.info": "训练好的网络，各自给出自己的答案。",
    "backbone.weights": "{millions} M 参数",
    "backbone.here": "{megabytes} MB，已就绪",
    "backbone.download": "首次下载 {megabytes} MB",
    "fusion": "融合方式",
    "fusion.info": "怎样把几个答案合成一个。",
    "methods": "热图",
    "methods.info": "在图片上画什么。",
    "more": "热图设置",
    "head_fusion": "注意力展开：注意力头",
    "head_fusion.info": "每层用几种方式去看（头）；这里把它们合成一种。",
    "head_fusion.mean": "平均",
    "head_fusion.max": "最大",
    "head_fusion.min": "最小",
    "discard": "注意力展开：忽略弱注意力的比例",
    "discard.info": "0 与论文一致；越大热图越稀疏。",
    "baseline": "空白图片",
    "baseline.info": "积分梯度从它渐变而来，遮挡也用它盖住小块。",
    "baseline.black": "黑色",
    "baseline.white": "白色",
    "baseline.blurred": "模糊",
    "baseline.mean": "平均色",
    "steps": "积分梯度：步数",
    "steps.info": "起始步数；会加倍（最多 256），直到总和吻合。",
    "samples_count": "平滑梯度：带噪声的副本数",
    "samples_count.info": "副本越多越平稳，也越慢。",
    "noise": "平滑梯度：噪声强度",
    "noise.info": "标准差；1 表示从黑到白。",
    "patches": "遮挡：长边上的块数",
    "patches.info": "块越多细节越清楚，也越慢。",
    "target": "为哪个类别画热图",
    "target.info": "融合后的答案，或任意类别。",
    "target.top": "融合后的答案",
    "opacity": "不透明度",
    "opacity.info": "热图盖住图片的程度。",
    "scale": "色标",
    "scale.info": "哪些热图共用一个色标。",
    "scale.each": "每张热图",
    "scale.row": "每个网络",
    "scale.all": "每种方法",
    "colours": "配色",
    "colours.info": "用于没有正负号的热图。",
    "figure": "图（PNG）",
    "raw": "原始热图（NPZ）",
    "json": "全部结果（JSON）",
    "fused": "融合",
    "weight": "权重 {weight}",
    "weight.none": "未计入",
    "agree.one": "只有一个骨干网络，无需融合。",
    "agree.all": "{count} 个骨干网络意见一致。",
    "agree.not": "{names} {verb}：{label}",
    "agree.disagrees": "不同意",
    "agree.disagree": "不同意",
    "agreement": "一致度 {percent} %",
    "agreement.more": "1 减去各概率的 Jensen-Shannon 散度：完全一致时为 100 %。",
    "ran": "{fusion}，{count} 个网络 · {device} · {seconds} 秒",
    "ran.sample": "示例",
    "not_offered": "没有热图：{reason}",
    "not_seen": "斜线部分：骨干网络看到之前就被裁掉了。",
    "map_of": "{subject} 对“{target}”的{method}",
    "adds_up": "合计 {sum}，应为 {difference} 个百分点",
    "adds_up.more": (
        "“{target}”的概率在原图上是 {picture} %，在空白图片上是 {baseline} %；热图的总和应等于两者之差。"
        "经过 {steps} 步，误差为差值的 {error} %。"
    ),
    "adds_up.off": "，误差超过 5 %",
    "adds_up.nothing": "原图与空白图片得分相同",
    "members": "来自 {of} 个网络中的 {members} 个",
    "same_for_all": "对每个类别都一样",
    "limits": "它不能说明什么",
    "working.loading": "正在加载骨干网络",
    "working.waiting": "正在等待其他访客占用的内存",
    "working.fetching": "正在下载 {subject}：{done} / {total} MB",
    "working.predicted": "已得出预测，正在画热图",
    "working.explaining": "{method}：{subject}",
    "working.queued": "正在开始",
    "stale": "以下是更改设置之前的结果。要更新，请按：{button}。",
    "cancelled": "已取消，之前的结果保留不变。",
    "no_picture": "还没有图片：请在上方拖入、粘贴、拍摄，或选择一个示例。",
    "no_methods": "没有选择热图：请在“热图”下勾选一项或多项。",
    "unexpected": "发生了不该发生的错误。服务器继续运行，详情见其日志。",
    "link_ignored": "链接中有一部分无法识别，已忽略：{what}。",
    "footnote": (
        "热图显示的是方法算出的结果，而不是网络的想法。红色支持该类别，蓝色反对；没有正负号的热图由暗到亮。"
        "逐像素的热图略作平滑以便观看，原始数值见下载文件。"
    ),
}

# Fusions: name: (title, what it does). One line for each entry of the registry.
FUSIONS = {
    "mean": ("平均", "每个骨干网络同等重要：把概率取平均。"),
    "geometric": ("几何平均", "把概率相乘：只要有一个网络确信不是某一类，就能排除它。"),
    "validation": ("按准确率加权", "在验证图片上答对更多的网络，分量更重。"),
    "confidence": ("按把握加权", "对每张图片分别计算：越有把握的网络分量越重。当心：有把握不等于正确。"),
    "vote": ("多数表决", "每个网络投自己的第一选择；对胜出者的概率取平均，其余不计。"),
    "classwise": (
        "逐类加权",
        "每个网络在每个类别上各有一个权重：在留出的图片上，谁更会认这一类，谁在这一类上分量就更重。",
    ),
    "greedy": ("逐个挑选", "在留出的图片上一次挑一个网络加入平均，每次挑让结果最好的那个；被挑中多次的分量更重。"),
    "stacking": ("堆叠", "用留出的图片训练一个小模型，让它从所有网络的概率中学会该信谁。"),
    "features": ("特征融合", "不看各网络的答案，而是把它们看到的特征拼在一起，再用留出的图片训练一个新的分类层。"),
    "multiscale": ("多尺度特征融合", "把各网络浅层与深层的特征合在一起，再用留出的图片训练一个新的分类层。"),
    "calibrated": ("校准后相乘", "先在留出的图片上校正每个网络的把握，再把概率按学到的分量相乘。"),
}

# Methods of maps: name: (title, what it does, what it cannot tell). One entry for each of the registry.
METHODS = {
    "rollout": (
        "注意力展开",
        "顺着所有层的注意力，从答案一路回溯到图片的各个小块。",
        "它显示信息可能从哪里流过，而不是怎样被使用；对每个类别都一样。",
    ),
    "integrated_gradients": (
        "积分梯度",
        "让图片从空白渐渐显现，累加每个像素一路上对概率的影响。",
        "结果取决于所选的空白图片；一个像素的份额也不等于去掉它之后的变化。",
    ),
    "smoothgrad": (
        "平滑梯度",
        "概率对哪些像素最敏感？在许多加了噪声的副本上取平均。",
        "它显示概率对哪里敏感，而不说明像素是支持还是反对该类别。",
    ),
    "occlusion": (
        "遮挡",
        "依次遮住每一小块，看概率下降多少。",
        "每次只遮一块：两块合起来才说明的、或任一块都能说明的，它看不到。",
    ),
}

# Why a map is not offered: parts of the sentences that `attention.tokens` and `explain` make.
REASONS = {
    "a convolutional network has no attention": "卷积网络没有注意力",
    "MobileViT attends within each pixel phase and convolves in between: no token is one patch": (
        "MobileViT 在各像素相位内做注意力，中间夹着卷积：没有哪个词元对应一个小块"
    ),
    "MobileViTv2 scores each patch for all others at once: it has no attention from patch to patch": (
        "MobileViTv2 一次为每个小块打一个分：没有小块之间的注意力"
    ),
    "Swin attends within shifted windows; its rollout is an extension not checked here": (
        "Swin 在移动窗口内做注意力；它的展开是一种尚未在此验证的推广"
    ),
    "CaiT mixes its heads before and after the softmax; its rollout has not been checked here": (
        "CaiT 在 softmax 前后混合注意力头；它的展开尚未在此验证"
    ),
    "CrossViT attends in two branches of different patch sizes; its rollout has not been checked here": (
        "CrossViT 有两条块大小不同的分支；它的展开尚未在此验证"
    ),
    "LeViT drops three quarters of its tokens on the way; its rollout has not been checked here": (
        "LeViT 途中丢弃四分之三的词元；它的展开尚未在此验证"
    ),
    "ConViT mixes attention with fixed positions; its rollout has not been checked here": (
        "ConViT 把注意力与固定位置混合；它的展开尚未在此验证"
    ),
    "XCiT attends over channels, not over places": "XCiT 的注意力作用于通道，而不是位置",
    ". Integrated gradients and occlusion work for every backbone.": "。积分梯度和遮挡适用于每个骨干网络。",
    "majority vote jumps from class to class, so it has no gradient; occlusion works.": (
        "多数表决会在类别之间跳变，没有梯度；可以用遮挡。"
    ),
}
