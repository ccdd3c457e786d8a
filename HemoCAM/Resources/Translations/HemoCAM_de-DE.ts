<?xml version="1.0" encoding="utf-8"?>
<!DOCTYPE TS>
<TS version="2.1" language="de-DE" sourcelanguage="en">
<context>
    <name>HemoCAM</name>
    <message>
        <source>HemoCAM</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Class activation maps of a hemorrhage classifier on head CT: where did the model look, and was it right? Research software, not for clinical use.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>After Rafati et al., Benchmarking Class Activation Map Methods for Explainable Brain Hemorrhage Classification on Hemorica Dataset, 2025 (arXiv 2508.17699).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A map shows where the model looked, not where blood is.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Research software - not for clinical use</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Inputs</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Head CT:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The head CT to analyse, without contrast, in Hounsfield units. Any orientation and tilt; it is read and never changed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Reference:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Optional: a segmentation of the hemorrhage, drawn by a reader, to compare the mask with. Nothing of it enters the analysis.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Segment:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The segment of the reference that is the hemorrhage</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Model</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Model:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The classifier whose view is explained: one that comes with HemoCAM, or a folder of your own with model.json and weights.safetensors</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What the model was trained on, how well it does, and where it fails. Read it before you trust a map.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Card...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Folder:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>A folder with model.json and weights.safetensors</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Explanation</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Method:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How the map is computed from the network. HiResCAM shows what the network used, cell by cell; AblationCAM and ScoreCAM run the network once a channel and take minutes.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stage:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Which stage of the network is looked at. Late stages know what they see but blur where; early stages are sharp and know little.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>As the model's card recommends</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Explain:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The class whose score the map explains. "any" is any intracranial hemorrhage.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Advanced</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Device:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Where the network runs. Automatic takes an NVIDIA GPU where there is one. The maps are the same but for rounding.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Scale:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>What a full colour stands for. One scale for the volume keeps strong and weak slices apart; "each slice by itself" lights up slices without any finding as brightly as one with a large bleed.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a head CT first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Apply</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Where the analysis stands. The rest of Slicer can be used meanwhile.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Display</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Opacity:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How strongly the heat map covers the CT in the slice views</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Take gate and threshold from the model's card, where they were tuned for this method and stage. Moving a slider takes them into your own hand.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Gate and threshold as the model's card recommends</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Gate:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Slices below this probability show no map. A map is always somewhere; the gate keeps slices without a finding dark.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Threshold:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The mask is where the heat map reaches this value. It follows at once; nothing is computed again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Colors:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Colours of the heat map, the lighter the higher</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show the outline of the thresholded map</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show the mask</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Results</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>No results for this volume yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The slices, those with the highest probability first. Click one: all slice views go there.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>How the mask agrees with the reference segment</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show the probability along the head as a plot beside the slice views</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Show curve</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Correct the mask by hand in Segment Editor, over this CT</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Send to Segment Editor</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Write maps, mask, tables and a picture into a folder: the files of "hemocam run"</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Export...</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>panel.actions</name>
    <message>
        <source>There are no results for this volume yet; press Apply.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The mask was deleted; press Apply to make it again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The analysis is running.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Folder for the results</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{count} files written to {folder}.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The results could not be written ({error}); see the Python console.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>panel.applying</name>
    <message>
        <source>Cancel</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Stop the analysis; the scene stays as it is.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Apply</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The analysis could not start ({error}).</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Cancelled: the volume was removed from the scene.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Analyse this CT with the choices above. What the network gave for this volume is kept: another method, stage or class computes only what is missing, and replaces the results of this volume.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Analyse this CT: classify its slices, and show where the model looked. Takes seconds to minutes; the volume itself is not changed.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>panel.display</name>
    <message>
        <source>There are no results for this volume yet; press Apply.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The analysis is running.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The heat map was deleted; press Apply to make it again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The mask was deleted; press Apply to make it again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The mask was changed by hand, which another threshold would undo; press Apply for a new mask.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The network's output for this volume is no longer in memory; press Apply to compute it again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The gate could not be changed; press Apply.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Press Apply to go back to the recommended gate and threshold.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>panel.exporting</name>
    <message>
        <source>The results cannot be written to '{folder}' ({reason}); choose another folder.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Without {names}: the analysis is no longer in memory; press Apply to have them.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Without review.png: the package matplotlib is not installed.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>panel.inputs</name>
    <message>
        <source>The analysis is running; cancel it to choose another volume.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a reference segmentation first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The reference has no segment; draw one in Segment Editor.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>panel.model_section</name>
    <message>
        <source>A folder of your own...</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The analysis is running; cancel it to choose something else.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Model card: {name}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose the model's folder first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>As the model's card recommends ({target})</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{target} (not in this model)</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>panel.parameters</name>
    <message>
        <source>As the model's card recommends</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Automatic</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Processor (CPU)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>NVIDIA GPU (CUDA)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One scale, gated slices only</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>One scale, all slices</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Each slice by itself (pytorch-grad-cam)</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>panel.results</name>
    <message>
        <source>No results for this volume yet.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>map</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>interpolated</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>There are no results for this volume yet; press Apply.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The curve was deleted; press Apply.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Slice</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Position (mm)</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Probability of {target}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>any</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Shown</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Mask: {ml:.1f} ml.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>HemoCAM's segment of the mask was deleted; press Apply to make it again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>By {method} at stage {stage}, {model}</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The mask changed; it is compared again in a moment.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Compared with the reference by {who}:</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a reference segmentation to compare the mask with it.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Measure</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Value</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The comparison failed; see the Python console.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>panel.running</name>
    <message>
        <source>Cancelled; the scene is as it was.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The analysis failed ({error}); see the Python console.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>about a second left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>about {count} s left</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>about {count} min left</source>
        <translation type="unfinished"></translation>
    </message>
</context>
<context>
    <name>panel.work</name>
    <message>
        <source>Checking the volume</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Adding the results to the scene</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The volume was changed or removed while it was analysed; press Apply again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The reference '{name}' has no segment; draw one, or choose another reference.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The reference '{name}' has no segment '{segment}'; choose one of its segments.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>Choose a head CT first.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This volume is a map that HemoCAM made; choose the CT itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This is a label map; choose the CT itself.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>This volume is empty; choose one with voxels.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>The table of slices was deleted or lost columns; press Apply to make it again.</source>
        <translation type="unfinished"></translation>
    </message>
    <message>
        <source>{target}: highest probability {p:.2f}, at slice {slice}; {count} of {total} slices pass the gate.</source>
        <translation type="unfinished"></translation>
    </message>
</context>
</TS>
